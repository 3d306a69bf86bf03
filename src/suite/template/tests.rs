use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    CallSeed, CompiledArguments, CompiledText, TemplateError, check, escape, escape_value, fill,
    fill_text,
};

fn seed() -> CallSeed {
    CallSeed::new(7, "search/sequential")
}

#[test]
fn texts() {
    let seed = seed();
    for (template, expected) in [
        ("", ""),
        ("plain { } }} text", "plain { } }} text"),
        ("query {{i}} of {{vu}}", "query 12 of 3"),
        ("{{ i }}{{i}}", "1212"),
        ("{{{{i}}", "{{i}}"),
        ("{{{{{{i}}", "{{12"),
        ("{\"a\":{\"b\":{{i}}}}", "{\"a\":{\"b\":12}}"),
        // Wrong templates stay as they are.
        ("{{j}} {{i}}", "{{j}} {{i}}"),
        ("{{i", "{{i"),
    ] {
        assert_eq!(
            fill_text(template, seed.call(3, 12)),
            expected,
            "{template}"
        );
    }
}

#[test]
fn mistakes() {
    let unknown = |text: &str| Err(TemplateError::Unknown(text.to_owned()));
    let unclosed = |text: &str| Err(TemplateError::Unclosed(text.to_owned()));
    for (template, expected) in [
        ("{{i}}{{vu}}{{uuid}}", Ok(())),
        ("{{{{anything", Ok(())),
        ("a {{j}} b", unknown("{{j}}")),
        ("{{}}", unknown("{{}}")),
        ("{{I}}", unknown("{{I}}")),
        ("{{{i}}}", unknown("{{{i}}")),
        ("{{pick words.txt}}", unknown("{{pick words.txt}}")),
        ("a {{i", unclosed("{{i")),
        ("{{", unclosed("{{")),
    ] {
        assert_eq!(check(template), expected, "{template}");
    }
}

#[test]
fn a_lone_number_is_a_number_and_keys_are_no_templates() {
    let value = json!({"{{i}}": ["{{i}}", "{{ vu }}", "x{{i}}", {"deep": "{{i}}"}], "n": 1.5});
    let expected = json!({"{{i}}": [12, 3, "x12", {"deep": 12}], "n": 1.5});
    let seed = seed();
    assert_eq!(fill(&value, seed.call(3, 12)), expected);
    assert_eq!(rendered(&value, &seed, 3, 12), expected);
}

#[test]
fn uuids_differ_by_seed_scenario_caller_and_call_and_agree_within_a_call() {
    let uuid = |seed, scenario: &str, vu, i| CallSeed::new(seed, scenario).call(vu, i).uuid();
    let all = [
        uuid(1, "a", 0, 0),
        uuid(2, "a", 0, 0),
        uuid(1, "b", 0, 0),
        uuid(1, "a", 1, 0),
        uuid(1, "a", 0, 1),
        uuid(1, "a", 0, u64::MAX),
    ];
    for (n, one) in all.iter().enumerate() {
        assert_eq!(one.get_version_num(), 4);
        assert!(!all[..n].contains(one), "{all:?}");
    }
    assert_eq!(all[0], uuid(1, "a", 0, 0));
    let seed = seed();
    let twice = fill_text("{{uuid}}{{uuid}}", seed.call(0, 5));
    assert_eq!(twice[..36], twice[36..]);
}

/// What the bytes for the engine mean, read back.
fn rendered(value: &Value, seed: &CallSeed, vu: u32, i: u64) -> Value {
    let compiled = CompiledArguments::new(value.as_object().unwrap()).unwrap();
    let mut out = b"before".to_vec();
    compiled.render_json(seed.call(vu, i), &mut out);
    serde_json::from_slice(out.strip_prefix(b"before").unwrap()).unwrap()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[{}iuvd \"\\\\\n]{0,12}",
        "(\\{\\{(i|vu|uuid)\\}\\}|\\{\\{\\{\\{|[a\"\\\\\n\u{202e}é]){0,6}",
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_panics_and_checked_ones_compile(text in text()) {
        let seed = seed();
        let _ = fill_text(&text, seed.call(0, 0));
        prop_assert_eq!(check(&text).is_ok(), CompiledText::new(&text).is_ok());
        if let Err(error) = check(&text) {
            prop_assert!(text.contains(error.place()));
        }
    }

    #[test]
    fn an_escaped_text_fills_to_itself(text in text()) {
        let seed = seed();
        prop_assert_eq!(check(&escape(&text)), Ok(()));
        prop_assert_eq!(fill_text(&escape(&text), seed.call(1, 2)), text);
    }

    #[test]
    fn bytes_and_values_agree(value in json_value(), vu in any::<u32>(), i in any::<u64>()) {
        let seed = seed();
        let wrapped = json!({ "value": value });
        let compiled = CompiledArguments::new(wrapped.as_object().unwrap());
        if compiled.is_ok() {
            prop_assert_eq!(rendered(&wrapped, &seed, vu, i), fill(&wrapped, seed.call(vu, i)));
        }
        let escaped = escape_value(&wrapped);
        prop_assert_eq!(rendered(&escaped, &seed, vu, i), wrapped);
    }
}
