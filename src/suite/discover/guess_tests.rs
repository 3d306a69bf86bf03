//! What is guessed for calls that are tried, and where arguments come from.

use serde_json::{Value, json};

use super::{Guesses, survey, tests::reading};

#[test]
fn paths_that_are_known() {
    let string = |description: &str| json!({"type": "string", "description": description});
    let guesses = Guesses {
        plain_texts: true,
        folder: Some("data"),
        file: Some("data/{{a.txt"),
    };
    for (tool, name, schema, expected) in [
        ("list_directory", "path", string(""), Some("data")),
        ("read_text_file", "path", string(""), Some("data/{{{{a.txt")),
        ("search_files", "path", string(""), Some("data")),
        (
            "show",
            "path",
            string("Path of the file"),
            Some("data/{{{{a.txt"),
        ),
        ("git_log", "repo_path", string(""), Some("data")),
        ("x", "file_id", string(""), None),
        ("x", "url_path", string(""), None),
        ("x", "label", string(""), Some("hello {{i}}")),
        ("x", "sql", string(""), None),
        (
            "x",
            "format",
            json!({"type": "string", "format": "uri"}),
            None,
        ),
    ] {
        let input = json!({"type": "object", "properties": {name: schema}, "required": [name]});
        let (surveyed, _) = survey(&[reading(tool, &input)], guesses);
        let arguments = &surveyed[0].arguments;
        let made = Some(&arguments.template[name]).filter(|_| arguments.obstacle().is_none());
        assert_eq!(made, expected.map(Value::from).as_ref(), "{tool} {name}");
    }
}

#[test]
fn arguments_say_where_they_come_from() {
    let input = json!({"type": "object", "required": ["query", "sort", "limit", "path", "filter", "mode"], "properties": {
        "query": {"type": "string"}, "sort": {"enum": ["up", "down"]}, "limit": {"type": "integer", "default": 3},
        "path": {"type": "string"}, "mode": {"const": "fast"}, "page": {"type": "integer"},
        "filter": {"type": "object", "required": ["tags", "deep"], "properties": {
            "tags": {"type": "array"}, "deep": {"anyOf": [{"type": "string", "pattern": "x"}, {"type": "boolean"}]}}}}});
    let (surveyed, _) = survey(&[reading("tool", &input)], Guesses::default());
    let arguments = &surveyed[0].arguments;
    let made_up: Vec<_> = arguments
        .made_up
        .iter()
        .map(|made_up| (made_up.argument.as_str(), made_up.what.as_str()))
        .collect();
    let expected = [
        ("query", "\"hello {{i}}\""),
        ("sort", "the first of 2 that are allowed"),
        ("filter.tags", "empty"),
        ("filter.deep", "false"),
    ];
    assert_eq!(made_up, expected);
    assert_eq!(arguments.optional, ["page"]);
    let needs = "needs `path`: no value can be guessed (path)";
    assert_eq!(arguments.missing, [("path".to_owned(), needs.to_owned())]);
    let template = json!({"query": "hello {{i}}", "sort": "up", "limit": 3, "path": "", "mode": "fast",
        "filter": {"tags": [], "deep": false}});
    assert_eq!(Value::Object(arguments.template.clone()), template);
}

/// A whole call that the schema shows is taken as it is, if it has what is required.
#[test]
fn shown_calls_are_taken() {
    let schema = |examples: Value| {
        json!({"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"],
            "examples": examples})
    };
    for (examples, expected) in [
        (
            json!([{"id": "a{{1", "x": 1}]),
            Some(json!({"id": "a{{{{1", "x": 1})),
        ),
        (json!([5, {"x": 1}]), None),
        (json!({"id": "a"}), None),
    ] {
        let (surveyed, _) = survey(&[reading("tool", &schema(examples))], Guesses::default());
        let arguments = &surveyed[0].arguments;
        let made = arguments.obstacle().is_none();
        let made = made.then(|| Value::Object(arguments.template.clone()));
        assert_eq!(made, expected);
    }
}

/// Arguments that are made follow the schema, by the judgement of a validator that is not ours.
#[test]
fn what_is_made_is_valid() {
    let text = json!({"type": "string"});
    for schema in [
        json!({"allOf": [{"properties": {"n": {"type": "integer", "minimum": 4}}, "required": ["n"]},
            {"properties": {"n": {"multipleOf": 5}, "q": text}, "required": ["q"]}]}),
        json!({"properties": {"a": text, "b": {"type": "boolean"}}, "anyOf": [{"required": ["b"]}, {"required": ["a"]}]}),
        json!({"properties": {"n": {"$ref": "#/$defs/N", "minimum": 8}}, "required": ["n"],
            "$defs": {"N": {"type": "number", "exclusiveMaximum": 9}}}),
        json!({"properties": {"list": {"type": "array", "minItems": 3, "prefixItems": [{"const": "x"}],
            "items": {"type": "integer", "maximum": 0}}}, "required": ["list"]}),
        json!({"properties": {"when": {"type": "string", "format": "date-time"}, "q": {"type": "string",
            "minLength": 30, "maxLength": 60}}, "required": ["when", "q"]}),
        json!({"properties": {"e": {"allOf": [{"enum": [1, 2, 3]}, {"enum": [3, 2]}]}}, "required": ["e"]}),
        json!({"properties": {"o": {"oneOf": [{"type": "object", "required": ["deep"], "properties": {"deep":
            {"type": ["null", "integer"], "minimum": 2}}}, {"type": "string"}]}}, "required": ["o"]}),
    ] {
        let mut input = schema;
        input["type"] = "object".into();
        let guesses = Guesses {
            plain_texts: true,
            ..Guesses::default()
        };
        let (surveyed, _) = survey(&[reading("tool", &input)], guesses);
        assert_eq!(surveyed[0].obstacle(), None, "{input}");
        let made = Value::Object(surveyed[0].arguments.template.clone());
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&input)
            .unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&made)
            .map(|e| e.to_string())
            .collect();
        assert!(errors.is_empty(), "{input}\n{made}\n{errors:?}");
    }
}
