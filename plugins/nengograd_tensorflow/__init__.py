"""The TensorFlow backend of nengograd: compiled with XLA, on CPU and GPU."""
