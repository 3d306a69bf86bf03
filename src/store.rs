//! Reading and atomically writing files.
