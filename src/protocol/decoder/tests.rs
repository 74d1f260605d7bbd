//! The decoder's unit tests: the remembered position, early refusals, places in the buffer.
