//! The bundled server and its faults.
