use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Discovery, discover};
use crate::suite::{ToolKind, template};

pub(super) fn reading(name: &str, schema: &Value) -> Value {
    json!({"name": name, "inputSchema": schema, "annotations": {"readOnlyHint": true}})
}

/// The arguments chosen for one tool that takes `schema`, or why there are none.
fn arguments_for(schema: &Value) -> Result<Value, String> {
    let mut found = discover(&[reading("tool", schema)], 1);
    match (found.chosen.pop(), found.left_out.pop()) {
        (Some(chosen), None) => Ok(Value::Object(chosen.call.arguments)),
        (None, Some(skipped)) => Err(skipped.reason),
        other => panic!("one tool in, not one out: {other:?}"),
    }
}

/// The same for one required property `x` unless named otherwise.
fn value_for(name: &str, schema: &Value) -> Result<Value, String> {
    arguments_for(&json!({"type": "object", "properties": {name: schema}, "required": [name]}))
        .map(|arguments| arguments[name].clone())
}

fn summary(found: &Discovery) -> String {
    let mut out = String::new();
    for chosen in &found.chosen {
        let kind = match chosen.call.kind {
            ToolKind::Compute => "",
            ToolKind::External => " (external)",
        };
        out.push_str(&format!("+ {}{kind}: {}\n", chosen.call.name, chosen.why));
    }
    for skipped in &found.left_out {
        out.push_str(&format!("- {}: {}\n", skipped.name, skipped.reason));
    }
    out
}

/// In the shape of the npm package server-everything.
#[test]
fn a_server_that_annotates_its_tools() {
    let hints = |read_only: bool, open_world: bool| json!({"readOnlyHint": read_only, "destructiveHint": false, "openWorldHint": open_world});
    let tools = [
        json!({"name": "trigger-long-running-operation", "description": "A long running operation.",
            "annotations": hints(true, false),
            "inputSchema": {"type": "object", "properties": {"duration": {"type": "number", "default": 10}}}}),
        json!({"name": "echo", "annotations": hints(true, false),
            "inputSchema": {"type": "object", "properties": {"message": {"type": "string", "description": "Message to echo"}}, "required": ["message"]}}),
        json!({"name": "get-annotated-message", "annotations": hints(true, false),
            "inputSchema": {"type": "object", "properties": {
                "messageType": {"type": "string", "enum": ["error", "success"]},
                "includeImage": {"type": "boolean", "default": false}}, "required": ["messageType"]}}),
        json!({"name": "search-the-web", "annotations": hints(true, true),
            "inputSchema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}}),
        json!({"name": "get-sum", "annotations": hints(true, false),
            "inputSchema": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]}}),
        json!({"name": "gzip-file-as-resource", "annotations": hints(false, true),
            "inputSchema": {"type": "object", "properties": {}}}),
        json!({"name": "get-note", "inputSchema": {"type": "object"}}),
        json!({"name": "read_file", "annotations": {"readOnlyHint": true},
            "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}),
        json!({"name": "research", "annotations": hints(true, false), "execution": {"taskSupport": "required"},
            "inputSchema": {"type": "object"}}),
        json!({"name": "confused", "annotations": {"readOnlyHint": true, "destructiveHint": true},
            "inputSchema": {"type": "object"}}),
    ];
    insta::assert_snapshot!(summary(&discover(&tools, 8)), @r#"
    + echo: says that it only reads; called with {"message":"hello {{i}}"}
    + get-annotated-message: says that it only reads; called with {"messageType":"error"}
    + get-sum: says that it only reads; called with {"a":1,"b":1}
    + trigger-long-running-operation: says that it only reads; called without arguments
    + search-the-web (external): says that it only reads; called with {"query":"hello {{i}}"}
    - gzip-file-as-resource: says that it changes something
    - get-note: does not say that it only reads (annotations.readOnlyHint)
    - read_file: needs `path`: no value can be guessed (path)
    - research: runs only as a task, which is not supported yet
    - confused: says both that it only reads and that it destroys
    "#);
}

/// In the shape of servers that annotate nothing, as a plain Python server does.
#[test]
fn a_server_without_annotations() {
    let tool = |name: &str, description: &str, properties: Value| {
        let required: Vec<String> = properties.as_object().unwrap().keys().cloned().collect();
        json!({"name": name, "description": description,
            "inputSchema": {"type": "object", "properties": properties, "required": required}})
    };
    let integer = json!({"type": "integer"});
    let string = json!({"type": "string"});
    let tools = [
        tool(
            "add",
            "Add two numbers",
            json!({"a": integer, "b": integer}),
        ),
        tool("add_user", "", json!({"age": integer})),
        tool("add", "", json!({})),
        tool("greet", "", json!({"name": string})),
        tool("get_user", "", json!({"name": string})),
        tool("get_or_create_user", "", json!({})),
        tool(
            "getWeather",
            "Looks up the weather.",
            json!({"city": string}),
        ),
        tool(
            "searchNotes",
            "Finds notes by text.",
            json!({"query": string}),
        ),
        tool(
            "list_jobs",
            "Lists jobs and deletes the finished ones.",
            json!({}),
        ),
        tool("get_balance", "", json!({})),
        tool("run_query", "", json!({"query": string})),
        tool("query_db", "", json!({"sql": string})),
        tool("settle", "", json!({})),
    ];
    insta::assert_snapshot!(summary(&discover(&tools, 8)), @r#"
    + add: its name says that it only calculates (the server annotates no tool); called with {"a":1,"b":1}
    + greet: its name says that it only reads (the server annotates no tool); called with {"name":"hello {{i}}"}
    + searchNotes: its name says that it only reads (the server annotates no tool); called with {"query":"hello {{i}}"}
    + get_balance: its name says that it only reads (the server annotates no tool); called without arguments
    - add_user: may change something: neither an annotation nor its name says that it only reads
    - add: the server lists this name twice
    - get_user: needs `name`: no value can be guessed
    - get_or_create_user: may change something: neither an annotation nor its name says that it only reads
    - getWeather: needs `city`: no value can be guessed
    - list_jobs: may change something: neither an annotation nor its name says that it only reads
    - run_query: may change something: neither an annotation nor its name says that it only reads
    - query_db: may change something: neither an annotation nor its name says that it only reads
    - settle: may change something: neither an annotation nor its name says that it only reads
    "#);
}

#[test]
fn more_tools_than_wanted() {
    let tools: Vec<Value> = (0..5)
        .map(|n| reading(&format!("tool{n}"), &json!({"type": "object"})))
        .collect();
    let found = discover(&tools, 2);
    assert_eq!(found.chosen.len(), 2);
    assert_eq!(found.left_out.len(), 3);
    assert_eq!(found.left_out[0].name, "tool2");
    assert_eq!(
        found.left_out[0].reason,
        "2 tools are chosen at most; a [[tool]] entry measures it"
    );
}

#[test]
fn values_by_schema() {
    let needs = |what: &str| Err(format!("needs `x`: {what}"));
    let free = |extra: Value| {
        let mut schema = json!({"type": "string", "description": "some text"});
        schema
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        schema
    };
    for (schema, expected) in [
        // What the schema states.
        (json!({"const": null}), Ok(json!(null))),
        (json!({"const": {"a": [1]}}), Ok(json!({"a": [1]}))),
        (
            json!({"type": "string", "default": "d", "examples": ["e"], "enum": ["f"]}),
            Ok(json!("d")),
        ),
        (
            json!({"type": "string", "default": null, "examples": [null, "e"]}),
            Ok(json!("e")),
        ),
        (json!({"enum": [null, 3]}), Ok(json!(3))),
        (
            json!({"type": "string", "pattern": "^a$", "default": "a"}),
            Ok(json!("a")),
        ),
        (json!({"default": "{{i}} {{x"}), Ok(json!("{{{{i}} {{{{x"))),
        // Numbers.
        (json!({"type": "integer"}), Ok(json!(1))),
        (json!({"type": "number"}), Ok(json!(1))),
        (json!({"type": "integer", "minimum": 5}), Ok(json!(5))),
        (
            json!({"type": "integer", "exclusiveMinimum": 5}),
            Ok(json!(6)),
        ),
        (
            json!({"type": "integer", "minimum": 5, "exclusiveMinimum": true}),
            Ok(json!(6)),
        ),
        (json!({"type": "integer", "minimum": 4.5}), Ok(json!(5))),
        (json!({"type": "integer", "maximum": -3}), Ok(json!(-3))),
        (
            json!({"type": "integer", "exclusiveMaximum": -3}),
            Ok(json!(-4)),
        ),
        (
            json!({"type": "number", "minimum": 0, "maximum": 0.5}),
            Ok(json!(0.5)),
        ),
        (
            json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5}),
            Ok(json!(0.25)),
        ),
        (
            json!({"type": "integer", "multipleOf": 10, "minimum": 15}),
            Ok(json!(20)),
        ),
        (
            json!({"type": "integer", "minimum": 5, "maximum": 4}),
            needs("no number that its schema allows was found"),
        ),
        (
            json!({"type": "integer", "minimum": 1e308, "multipleOf": 1e-308}),
            needs("no number that its schema allows was found"),
        ),
        // Texts.
        (free(json!({})), Ok(json!("hello {{i}}"))),
        (
            free(json!({"minLength": 12})),
            Ok(json!("helloaaaaa {{i}}")),
        ),
        (free(json!({"maxLength": 3})), Ok(json!("hel"))),
        (
            free(json!({"minLength": 8, "maxLength": 9})),
            Ok(json!("helloaaa")),
        ),
        (
            free(json!({"minLength": 9, "maxLength": 8})),
            needs("a text of at least 9 characters cannot be guessed"),
        ),
        (
            free(json!({"minLength": 1_000_000_000_000_u64})),
            needs("a text of at least 1000000000000 characters cannot be guessed"),
        ),
        (
            free(json!({"pattern": "^[a-z]+$"})),
            needs("its pattern gives no example"),
        ),
        (json!({"type": "string"}), needs("no value can be guessed")),
        (
            json!({"type": "string", "format": "date"}),
            Ok(json!("2026-01-01")),
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            Ok(json!("2026-01-01T12:00:00Z")),
        ),
        (
            json!({"type": "string", "format": "email"}),
            Ok(json!("user@example.com")),
        ),
        (
            json!({"type": "string", "format": "uuid"}),
            Ok(json!("{{uuid}}")),
        ),
        (
            json!({"type": "string", "format": "uri"}),
            needs("no address can be guessed"),
        ),
        (
            json!({"type": "string", "format": "ipv4"}),
            needs("no value of format ipv4 can be guessed"),
        ),
        (
            json!({"type": "string", "description": "Time in 24-hour format (HH:MM)"}),
            Ok(json!("12:00")),
        ),
        (
            json!({"type": "string", "description": "IANA timezone name"}),
            Ok(json!("UTC")),
        ),
        (
            json!({"type": "string", "description": "Text of the SQL to read"}),
            needs("no value can be guessed (sql)"),
        ),
        // Structures.
        (json!({"type": "boolean"}), Ok(json!(false))),
        (
            json!({"type": "array", "items": {"type": "integer"}}),
            Ok(json!([])),
        ),
        (
            json!({"type": "array", "items": {"type": "integer"}, "minItems": 2}),
            Ok(json!([1, 1])),
        ),
        (
            json!({"type": "array", "items": {"type": "integer"}, "minItems": 2, "uniqueItems": true}),
            needs("an array of at least 2 items cannot be guessed"),
        ),
        (
            json!({"type": "array", "items": {"type": "integer"}, "minItems": 1_000_000}),
            needs("an array of at least 1000000 items cannot be guessed"),
        ),
        (
            json!({"type": "object", "properties": {"n": {"type": "integer"}, "o": {"type": "integer"}}, "required": ["n"]}),
            Ok(json!({"n": 1})),
        ),
        (
            json!({"properties": {"n": {"type": "integer"}}, "required": ["n"]}),
            Ok(json!({"n": 1})),
        ),
        (
            json!({"type": "object", "minProperties": 1}),
            needs("it needs keys of its user's choice (minProperties)"),
        ),
        (json!({"type": ["null", "integer"]}), Ok(json!(1))),
        (json!({"type": ["null", "string"]}), Ok(json!(null))),
        (
            json!({"anyOf": [{"type": "null"}, {"type": "string"}, {"type": "boolean"}]}),
            Ok(json!(false)),
        ),
        (
            json!({"oneOf": [{"type": "string", "pattern": "x"}, {"type": "null"}]}),
            Ok(json!(null)),
        ),
        (json!({"anyOf": []}), needs("its schema allows no value")),
        (json!({"allOf": [{"type": "integer"}]}), Ok(json!(1))),
        // Combined: every part holds, and one branch of each choice.
        (
            json!({"allOf": [{"type": "integer"}, {"minimum": 3}]}),
            Ok(json!(3)),
        ),
        (
            json!({"minimum": 2, "allOf": [{"type": "number"}, {"type": "integer", "exclusiveMinimum": 6}]}),
            Ok(json!(7)),
        ),
        (
            json!({"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}),
            Ok(json!("b")),
        ),
        (
            json!({"allOf": [{"enum": ["a"]}, {"enum": ["b"]}]}),
            needs("no value can be guessed"),
        ),
        (
            json!({"allOf": [{"type": "integer"}, {"type": "string"}]}),
            needs("its schema allows no value"),
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
                "anyOf": [{"required": ["b"]}, {"required": ["a"]}]}),
            Ok(json!({"a": 1})),
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 4}}, "required": ["a"],
                "allOf": [{"properties": {"a": {"multipleOf": 5}, "c": {"const": "x"}}, "required": ["c"]}]}),
            Ok(json!({"a": 5, "c": "x"})),
        ),
        (
            json!({"description": "some text", "anyOf": [{"maxLength": 3, "type": "string"}]}),
            Ok(json!("hel")),
        ),
        (
            json!({"type": "array", "minItems": 3, "prefixItems": [{"const": "sum"}], "items": {"type": "integer"}}),
            Ok(json!(["sum", 1, 1])),
        ),
        (
            json!({"type": "string", "format": "duration"}),
            Ok(json!("PT1M")),
        ),
        (
            json!({"type": "file"}),
            needs("its schema has an unknown type"),
        ),
        (json!({}), needs("no value can be guessed")),
        (json!(true), needs("no value can be guessed")),
        (json!(false), needs("its schema allows no value")),
        (json!([1]), needs("its schema allows no value")),
    ] {
        assert_eq!(value_for("x", &schema), expected, "{schema}");
    }
}

#[test]
fn values_by_name() {
    let string = json!({"type": "string"});
    for (name, expected) in [
        ("query", Some("hello {{i}}")),
        ("searchText", Some("hello {{i}}")),
        ("user_message", None),
        ("timezone", Some("UTC")),
        ("source_time_zone", Some("UTC")),
        ("path", None),
        ("filePath", None),
        ("sessionID", None),
        ("query_url", None),
        ("name", None),
    ] {
        assert_eq!(
            value_for(name, &string).ok(),
            expected.map(Value::from),
            "{name}"
        );
    }
    assert!(value_for("issue_id", &json!({"type": "integer"})).is_err());
}

#[test]
fn references() {
    let with = |reference: &str| {
        json!({"type": "object", "properties": {"x": {"$ref": reference}}, "required": ["x"],
            "$defs": {"N": {"type": "integer", "minimum": 3}, "Again": {"$ref": "#/$defs/N"},
                "Loop": {"$ref": "#/$defs/Loop"},
                "Tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}, "right": {"$ref": "#/$defs/Tree"}}, "required": ["left", "right"]},
                "Either": {"anyOf": [{"$ref": "#/$defs/Either"}, {"$ref": "#/$defs/Either"}, {"$ref": "#/$defs/Either"}]}}})
    };
    let too_deep = Err("its input schema is too deep or too large".to_owned());
    let elsewhere = Err("needs `x`: its schema refers to something that is not in it".to_owned());
    for (reference, expected) in [
        ("#/$defs/N", Ok(json!({"x": 3}))),
        ("#/$defs/Again", Ok(json!({"x": 3}))),
        ("#/$defs/Loop", too_deep.clone()),
        ("#/$defs/Tree", too_deep.clone()),
        ("#/$defs/Either", too_deep),
        ("#/$defs/None", elsewhere.clone()),
        (
            "#",
            Err("its input schema is too deep or too large".to_owned()),
        ),
        ("https://example.com/schema", elsewhere),
    ] {
        assert_eq!(arguments_for(&with(reference)), expected, "{reference}");
    }
}

#[test]
fn hostile_lists() {
    let long = "n".repeat(10_000);
    let big_default = json!({"type": "object", "required": ["x"], "properties": {"x": {"default": "y".repeat(100_000)}}});
    let mut deep = json!({"type": "integer"});
    for _ in 0..100 {
        deep = json!({"type": "object", "properties": {"x": deep}, "required": ["x"]});
    }
    let wide: Vec<String> = (0..100_000).map(|n| format!("p{n}")).collect();
    let tools = [
        json!(null),
        json!([]),
        json!("tool"),
        json!({}),
        json!({"name": 3}),
        json!({"name": ""}),
        json!({"name": long}),
        json!({"name": "a\u{1b}[31m\nb"}),
        reading("a", &json!({"type": "object"})),
        reading("a", &json!({"type": "object"})),
        json!({"name": "no schema", "annotations": {"readOnlyHint": true}}),
        reading("schema is text", &json!("x")),
        reading("array at the root", &json!({"type": "array"})),
        reading("big default", &big_default),
        reading("deep", &deep),
        reading("wide", &json!({"type": "object", "required": wide})),
        reading(
            "\u{202e}<b>@all|`",
            &json!({"type": "object", "required": ["\u{202e}`x"]}),
        ),
        json!({"name": "hints of a wrong type", "annotations": {"readOnlyHint": "true"}, "inputSchema": {"type": "object"}}),
    ];
    insta::assert_snapshot!(summary(&discover(&tools, 8)), @r#"
    + a: says that it only reads; called without arguments
    - tool 1: not a tool: the server lists something else
    - tool 2: not a tool: the server lists something else
    - tool 3: not a tool: the server lists something else
    - tool 4: has no name
    - tool 5: has no name
    - tool 6: has no name
    - nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…: its name is longer than 128 characters
    - a\u{1b}[31m\nb: its name holds characters that cannot be seen
    - a: the server lists this name twice
    - no schema: has no input schema
    - schema is text: its input schema is not one of an object
    - array at the root: its input schema is not one of an object
    - big default: its arguments would be 100008 bytes long
    - deep: its input schema is too deep or too large
    - wide: needs `p0`: no value can be guessed
    - \u{202e}<b>@all|`: its name holds characters that cannot be seen
    - hints of a wrong type: does not say that it only reads (annotations.readOnlyHint)
    "#);
}

#[test]
fn a_schema_without_end_is_given_up() {
    let names: Vec<String> = (0..5_000).map(|n| format!("p{n}")).collect();
    let properties: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| (name.clone(), json!({"type": "integer"})))
        .collect();
    let schema = json!({"type": "object", "properties": properties, "required": names});
    assert_eq!(
        arguments_for(&schema),
        Err("its input schema is too deep or too large".to_owned())
    );
}

#[test]
fn a_list_without_end_is_cut() {
    let tools: Vec<Value> = (0..1_500).map(|_| json!(null)).collect();
    let found = discover(&tools, 8);
    assert_eq!(found.left_out.len(), 1_001);
    assert_eq!(found.left_out[1_000].name, "500 more tools");
}

fn schema() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "type",
        "properties",
        "required",
        "items",
        "minItems",
        "enum",
        "const",
        "default",
        "$ref",
        "anyOf",
        "allOf",
        "minimum",
        "maximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "format",
        "description",
        "x",
        "query",
        "minProperties",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "object",
            "string",
            "integer",
            "number",
            "array",
            "null",
            "x",
            "query",
            "#",
            "#/properties/x",
            "uuid",
            "text {{",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|entries| {
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_schema_gives_templates_that_compile_or_a_reason(schema in schema()) {
        let found = discover(&[reading("tool", &schema)], 1);
        prop_assert_eq!(found.chosen.len() + found.left_out.len(), 1);
        for chosen in found.chosen {
            prop_assert!(template::CompiledArguments::new(&chosen.call.arguments, None).is_ok());
        }
    }
}
