//! The direct children that this room started and has not yet waited for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::table::ProcessId;

/// One direct child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Child {
    /// Who.
    pub(crate) id: ProcessId,
    /// Value of the marker variable of a server; `None` for the guard.
    pub(crate) marker: Option<String>,
}

static CHILDREN: Mutex<Vec<Child>> = Mutex::new(Vec::new());

fn children() -> MutexGuard<'static, Vec<Child>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn add(child: Child) {
    children().push(child);
}

pub(crate) fn remove(id: ProcessId) {
    children().retain(|child| child.id != id);
}

pub(crate) fn snapshot() -> Vec<Child> {
    children().clone()
}
