//! No message makes a reader panic; the readers agree about what a message is; and what is said of
//! it is short and printable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpgate_fuzz::{
    elicitation::Elicitation,
    message::{self, Incoming},
    outcome::{CallError, EXCERPT_CHARS, ErrorKind},
    request,
};
use serde_json::Value;

/// Words of mcpgate's own around what a server said.
const OWN_CHARS: usize = 300;

fn hold<T>(read: Result<T, CallError>) -> Option<ErrorKind> {
    let error = read.err()?;
    assert!(
        error.message.chars().count() <= 2 * EXCERPT_CHARS + OWN_CHARS,
        "{error}"
    );
    assert!(!error.message.chars().any(char::is_control), "{error:?}");
    Some(error.kind)
}

fuzz_target!(|bytes: &[u8]| {
    let id = match message::classify(bytes) {
        Ok(Incoming::Answer(id)) => id,
        Ok(Incoming::Request { id, method, params }) => {
            for elicitation in [Elicitation::Refused, Elicitation::Defaults] {
                let answer = request::answer_to_server_request(id, &method, params, elicitation);
                let answer: Value = serde_json::from_slice(&answer).expect("an answer is JSON");
                assert_eq!(answer["jsonrpc"], "2.0");
            }
            7
        }
        Ok(Incoming::ForeignAnswer(_) | Incoming::Notification) | Err(_) => 7,
    };
    let kind = hold(message::read_result(bytes, id));
    if matches!(message::classify(bytes), Ok(Incoming::Answer(_))) {
        assert_ne!(kind, Some(ErrorKind::WrongAnswer));
    }
    hold(message::check_tool_answer(bytes, id, None));
    hold(message::check_tool_answer(bytes, id, Some("x")));
    hold(message::read_tool_page(bytes, id));
    hold(message::read_initialize(bytes, id));
    hold(message::read_discover(bytes, id));
    if let Some(asked) = message::read_input_required(bytes, id)
        && let Some(given) = Elicitation::Defaults.given(&asked)
    {
        let members: Value = serde_json::from_str(&format!("{{\"a\":1{given}}}")).expect("JSON");
        assert!(members["inputResponses"].is_object() || !members["requestState"].is_null());
    }
    let _ = message::rpc_error(bytes).map(|error| (error.in_words(), error.versions()));
});
