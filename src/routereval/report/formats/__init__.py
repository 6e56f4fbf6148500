"""Tables written out: one module a format, ``escaping`` for names in each, ``layout`` for what they share."""
