//! mcpgate on GitHub: which pull request is judged by which commit, and one comment that says so.
//!
//! | file | what it holds |
//! |---|---|
//! | `event.rs` | what happened, from the event's payload. Pure |
//! | `runner.rs` | what GitHub's runner tells in the environment. Pure |
//! | `command.rs` | workflow commands and outputs, escaped. Pure |
//! | `comment.rs` | the comment's text, which comment is ours, which run is newer. Pure |
//! | `annotation.rs` | from a judgement to annotations. Pure |
//! | `prepared.rs` | the folder in which one step hands over to the next |
//! | `api.rs` | how GitHub is spoken to, and what is done when it fails |
//! | `requests.rs` | what is asked of it |
//! | `base.rs` | the commit whose baseline and policy decide |
//! | `branch.rs` | a proposed baseline on a branch of our own |
//! | `sticky.rs` | one comment, also with two runs at once and with lost answers |
//!
//! What decides is not the pull request's to choose: the baseline and `[gate]` come from the base,
//! and failing to read them is an error. The token is used before and after measuring, by steps
//! of their own; the server never has it in its environment.

pub mod annotation;
pub mod api;
pub mod base;
pub mod branch;
pub mod command;
pub mod comment;
pub mod event;
pub mod prepared;
pub mod requests;
pub mod runner;
pub mod sticky;
