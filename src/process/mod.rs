//! Starting, sampling and stopping server processes.
