//! What is answered when a server asks the user. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::message::{InputRequest, InputRequired, from_object};

/// The method by which a server asks the user.
pub const ELICIT: &str = "elicitation/create";

/// What a client answers when a server asks its user for input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Elicitation {
    /// The capability is not declared, and who asks all the same is refused.
    #[default]
    Refused,
    /// Forms are accepted with the defaults of their fields. One with a field that is required and
    /// has no default is declined, and so is a page to be opened.
    Defaults,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    requested_schema: Form,
}

#[derive(Deserialize, Default)]
struct Form {
    #[serde(default)]
    properties: Map<String, Value>,
    #[serde(default)]
    required: Vec<String>,
}

impl Elicitation {
    /// The client's capabilities, as they are declared.
    #[must_use]
    pub fn capabilities(self) -> Value {
        match self {
            Self::Refused => json!({}),
            Self::Defaults => json!({"elicitation": {}}),
        }
    }

    /// The result of [`ELICIT`]; `None` where it is refused.
    #[must_use]
    pub fn result(self, params: Option<&RawValue>) -> Option<Value> {
        match self {
            Self::Refused => None,
            Self::Defaults => Some(defaults(params).map_or_else(
                || json!({"action": "decline"}),
                |content| json!({"action": "accept", "content": content}),
            )),
        }
    }

    /// What a call is made again with, after its tool has asked for input: the members
    /// `inputResponses` and `requestState`, each behind a comma. `None` where something else is
    /// asked for than can be given.
    #[must_use]
    pub fn given(self, asked: &InputRequired<'_>) -> Option<String> {
        let answer = |(name, question): (&String, &InputRequest<'_>)| {
            let is_for_user = question.method == ELICIT;
            let result = is_for_user.then(|| self.result(question.params)).flatten();
            result.map(|result| (name.clone(), result))
        };
        let answers: Option<BTreeMap<String, Value>> =
            asked.input_requests.iter().map(answer).collect();
        let answers = answers?;
        let mut members = String::new();
        if !answers.is_empty() {
            members = format!(",\"inputResponses\":{}", json!(answers));
        }
        if let Some(state) = asked.request_state {
            members = format!("{members},\"requestState\":{}", state.get());
        }
        (!members.is_empty()).then_some(members)
    }
}

/// The fields of a form with their defaults; `None` where that does not fill it in.
fn defaults(params: Option<&RawValue>) -> Option<Map<String, Value>> {
    let question: Question = from_object(params?.get().as_bytes()).ok()?;
    if question.mode.is_some_and(|mode| mode != "form") {
        return None;
    }
    let Form {
        properties,
        required,
    } = question.requested_schema;
    let content: Map<String, Value> = properties
        .into_iter()
        .filter_map(|(name, field)| Some((name, field.get("default")?.clone())))
        .collect();
    let is_whole = required.iter().all(|name| content.contains_key(name));
    is_whole.then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::message::read_input_required;

    fn form(properties: &Value, required: &Value) -> String {
        let schema = json!({"type": "object", "properties": properties, "required": required});
        json!({"message": "Who?", "requestedSchema": schema}).to_string()
    }

    #[test]
    fn forms_are_filled_in_with_their_defaults_or_declined() {
        let name =
            json!({"name": {"type": "string", "default": "Ada"}, "note": {"type": "string"}});
        let decline = json!({"action": "decline"});
        let accept = |content: Value| json!({"action": "accept", "content": content});
        let rows = [
            (form(&name, &json!([])), accept(json!({"name": "Ada"}))),
            (
                form(&name, &json!(["name"])),
                accept(json!({"name": "Ada"})),
            ),
            (form(&name, &json!(["note"])), decline.clone()),
            (form(&name, &json!(["absent"])), decline.clone()),
            (form(&json!({}), &json!([])), accept(json!({}))),
            (
                json!({"mode": "form", "message": ""}).to_string(),
                accept(json!({})),
            ),
            (
                json!({"mode": "url", "url": "https://x.test"}).to_string(),
                decline.clone(),
            ),
            (json!({"requestedSchema": 1}).to_string(), decline.clone()),
            ("[]".to_owned(), decline.clone()),
        ];
        for (params, expected) in rows {
            let raw = RawValue::from_string(params).unwrap();
            assert_eq!(
                Elicitation::Defaults.result(Some(&raw)),
                Some(expected),
                "{raw}"
            );
            assert_eq!(Elicitation::Refused.result(Some(&raw)), None);
        }
        assert_eq!(Elicitation::Defaults.result(None), Some(decline));
    }

    #[test]
    fn a_call_is_made_again_with_what_was_asked_for() {
        let ask = json!({"method": ELICIT, "params": {"requestedSchema": {"properties": {
            "sure": {"type": "boolean", "default": true}}}}});
        let accepted = r#"{"action":"accept","content":{"sure":true}}"#;
        let roots = json!({"method": "roots/list"});
        let rows = [
            (
                json!({"inputRequests": {"a": ask}, "requestState": "s\n"}),
                Some(format!(
                    r#","inputResponses":{{"a":{accepted}}},"requestState":"s\n""#
                )),
            ),
            (
                json!({"inputRequests": {"a": ask, "b": ask}}),
                Some(format!(
                    r#","inputResponses":{{"a":{accepted},"b":{accepted}}}"#
                )),
            ),
            (
                json!({"requestState": "s"}),
                Some(r#","requestState":"s""#.to_owned()),
            ),
            (json!({"inputRequests": {"a": ask, "b": roots}}), None),
            (json!({}), None),
        ];
        for (mut result, expected) in rows {
            result["resultType"] = json!("input_required");
            let body = json!({"jsonrpc": "2.0", "id": 7, "result": result}).to_string();
            let asked = read_input_required(body.as_bytes(), 7).unwrap();
            assert_eq!(Elicitation::Defaults.given(&asked), expected, "{body}");
        }
        for body in [
            r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete"}}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":{"requestState":"s"}}"#,
            r#"{"jsonrpc":"2.0","id":8,"result":{"resultType":"input_required"}}"#,
        ] {
            assert!(read_input_required(body.as_bytes(), 7).is_none(), "{body}");
        }
    }
}
