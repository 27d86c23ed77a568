"""One step of a model as data: views, operators, programs, and what can be read off them."""
