//! A capture of what our own programs say to each other.
