"""Keras models and layers for nengograd.convert, whatever Keras computes with."""
