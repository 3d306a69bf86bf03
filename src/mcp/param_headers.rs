//! Arguments that a tool wants to see in headers, too (`Mcp-Param-*`). Pure.
//!
//! In the 2026-07-28 revision a property of a tool's input schema may carry `x-mcp-header`: over
//! HTTP its value is then sent as a header as well, and a server refuses a call without it.
//! (Specification, streamable HTTP, "Custom headers from tool parameters".)

use http::{HeaderMap, HeaderName};
use serde_json::Value;

use super::{header_text::header_text, outcome::excerpt};

/// The annotation.
const ANNOTATION: &str = "x-mcp-header";
/// Keywords whose values are data and not schemas.
const DATA: [&str; 4] = ["const", "default", "enum", "examples"];
/// Types that have a text of their own.
const TYPES: [&str; 3] = ["boolean", "integer", "string"];

/// Which arguments of one tool travel as headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParamHeaders(Vec<ParamHeader>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct ParamHeader {
    name: HeaderName,
    /// Names of properties, from the arguments inwards.
    path: Vec<String>,
}

impl ParamHeaders {
    /// Reads the annotations of a tool, as its server lists it.
    ///
    /// # Errors
    /// In words, where one is invalid: no client may call such a tool over HTTP.
    pub fn of(tool: &Value) -> Result<Self, String> {
        let mut found = Self::default();
        if let Some(schema) = tool.get("inputSchema") {
            found.look(schema, &mut Vec::new(), true)?;
        }
        Ok(found)
    }

    fn look<'a>(
        &mut self,
        schema: &'a Value,
        path: &mut Vec<&'a str>,
        is_reachable: bool,
    ) -> Result<(), String> {
        let Some(schema) = schema.as_object() else {
            return Ok(());
        };
        if let Some(annotation) = schema.get(ANNOTATION) {
            self.add(annotation, schema.get("type"), path, is_reachable)?;
        }
        for (keyword, inner) in schema {
            match (keyword.as_str(), inner) {
                ("properties", Value::Object(properties)) => {
                    for (name, property) in properties {
                        path.push(name);
                        self.look(property, path, is_reachable)?;
                        path.pop();
                    }
                }
                (keyword, _) if DATA.contains(&keyword) => {}
                (_, Value::Object(_)) => {
                    self.look(inner, path, false)?;
                    // Such as `$defs`: names, and a schema behind each.
                    for inner in inner.as_object().into_iter().flat_map(|map| map.values()) {
                        self.look(inner, path, false)?;
                    }
                }
                (_, Value::Array(alternatives)) => {
                    for inner in alternatives {
                        self.look(inner, path, false)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        annotation: &Value,
        kind: Option<&Value>,
        path: &[&str],
        is_reachable: bool,
    ) -> Result<(), String> {
        let shown = excerpt(&annotation.to_string());
        let at = excerpt(&path.join("."));
        let invalid = |why: &str| format!("`{ANNOTATION}` {shown} of `{at}` {why}");
        if !is_reachable || path.is_empty() {
            return Err(invalid("is not on a property that is always there"));
        }
        if !kind
            .and_then(Value::as_str)
            .is_some_and(|kind| TYPES.contains(&kind))
        {
            return Err(invalid("is not on a string, an integer or a boolean"));
        }
        let name = annotation
            .as_str()
            .filter(|name| !name.is_empty())
            .and_then(|name| format!("mcp-param-{name}").parse::<HeaderName>().ok())
            .ok_or_else(|| invalid("is no name of a header"))?;
        if self.0.iter().any(|known| known.name == name) {
            return Err(invalid("is there twice"));
        }
        self.0.push(ParamHeader {
            name,
            path: path.iter().map(|&name| name.to_owned()).collect(),
        });
        Ok(())
    }

    /// Whether no argument is to be a header.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the headers of a call with these arguments, a JSON object. An argument that is absent
    /// or null has none.
    pub(super) fn add_to(&self, headers: &mut HeaderMap, arguments: &[u8]) {
        if self.0.is_empty() {
            return;
        }
        let arguments: Value = serde_json::from_slice(arguments).unwrap_or_default();
        for ParamHeader { name, path } in &self.0 {
            let value = path
                .iter()
                .try_fold(&arguments, |inner, name| inner.get(name));
            let text = match value {
                Some(Value::String(text)) => text.clone(),
                Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
                _ => continue,
            };
            headers.insert(name.clone(), header_text(&text));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(schema: &Value) -> Value {
        json!({"name": "t", "inputSchema": schema})
    }

    #[test]
    fn annotated_arguments_become_headers() {
        let tool = tool(&json!({
            "type": "object",
            "properties": {
                "region": {"type": "string", "x-mcp-header": "Region"},
                "dry": {"type": "boolean", "x-mcp-header": "Dry-Run"},
                "options": {"type": "object", "properties": {
                    "limit": {"type": "integer", "x-mcp-header": "Limit"}
                }},
                // A property of that name is none.
                "x-mcp-header": {"type": "string"},
                "plain": {"type": "string", "default": {"x-mcp-header": "No"}}
            }
        }));
        let mirrored = ParamHeaders::of(&tool).unwrap();
        let of = |arguments: Value| {
            let mut headers = HeaderMap::new();
            mirrored.add_to(&mut headers, arguments.to_string().as_bytes());
            let mut all: Vec<_> = headers
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            all.sort();
            all
        };
        assert_eq!(
            of(json!({"region": "eu-1", "dry": false, "options": {"limit": -3}, "plain": "p"})),
            [
                "mcp-param-dry-run: false",
                "mcp-param-limit: -3",
                "mcp-param-region: eu-1"
            ]
        );
        assert_eq!(
            of(json!({"region": "Zürich\r\nEvil: 1", "dry": null})),
            ["mcp-param-region: =?base64?WsO8cmljaA0KRXZpbDogMQ==?="]
        );
        assert!(of(json!({"region": ["a"], "options": 7})).is_empty());
        assert_eq!(ParamHeaders::of(&json!({})), Ok(ParamHeaders::default()));
    }

    #[test]
    fn invalid_annotations_are_named() {
        let property = |schema: Value| json!({"properties": {"a": schema}});
        let region = json!({"type": "string", "x-mcp-header": "Region"});
        for (schema, words) in [
            (
                property(json!({"type": "string", "x-mcp-header": ""})),
                "no name of a header",
            ),
            (
                property(json!({"type": "string", "x-mcp-header": "a b"})),
                "no name of a header",
            ),
            (
                property(json!({"type": "string", "x-mcp-header": 1})),
                "no name of a header",
            ),
            (
                property(json!({"type": "number", "x-mcp-header": "A"})),
                "not on a string",
            ),
            (property(json!({"x-mcp-header": "A"})), "not on a string"),
            (region.clone(), "not on a property"),
            (
                json!({"properties": {"a": region, "b": {"type": "string", "x-mcp-header": "REGION"}}}),
                "there twice",
            ),
            (
                property(json!({"type": "array", "items": region})),
                "not on a property",
            ),
            (
                json!({"anyOf": [{"properties": {"a": region}}]}),
                "not on a property",
            ),
            (json!({"$defs": {"a": region}}), "not on a property"),
        ] {
            let why = ParamHeaders::of(&tool(&schema)).unwrap_err();
            assert!(why.contains(words), "{schema}: {why}");
        }
    }
}
