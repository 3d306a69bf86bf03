//! The `mcpgate` command.
fn main() {}
