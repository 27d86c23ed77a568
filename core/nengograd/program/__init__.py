"""Programs: one step of a model as data, made of views, operators and blocks."""
