use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    CallContext, CallSeed, CompiledArguments, CompiledText, TemplateError, check, escape,
    escape_value, map_strings,
};
use crate::suite::data::DataRows;

fn seed() -> CallSeed {
    CallSeed::new(7, "search/sequential")
}

fn rows() -> DataRows {
    DataRows::from_json_lines(
        r#"{"q": "a \"b\"", "n": 5, "deep": {"at": [null]}, "two words": 1}
           {"q": "{{i}}", "n": 6, "deep": true, "two words": 2}"#,
    )
    .unwrap()
}

/// A wrong template stays as it is.
fn fill_text(text: &str, call: CallContext<'_>) -> String {
    CompiledText::new(text, Some(&rows()))
        .map_or_else(|_| text.to_owned(), |compiled| compiled.render(call))
}

/// What the engine's bytes are to mean, by another way.
fn fill(value: &Value, call: CallContext<'_>) -> Value {
    map_strings(value, &|text| {
        let filled = fill_text(text, call);
        let inner = text
            .strip_prefix("{{")
            .and_then(|rest| rest.strip_suffix("}}"));
        let row = usize::try_from(call.i % 2).unwrap();
        match inner.map(str::trim) {
            Some("i" | "vu" | "random 1 9") => Value::from(filled.parse::<u64>().unwrap()),
            Some("data.q" | "data.n" | "data.deep") => {
                let column = rows().column(&inner.unwrap().trim()[5..]).unwrap();
                rows().cells(column).nth(row).unwrap().clone()
            }
            _ => Value::String(filled),
        }
    })
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
        ("{{random 7 7}} {{random -3 -3}}", "7 -3"),
        ("{{data.two words}} {{ data.two words }}", "1 1"),
        (
            "{{data.q}} {{ data.n }} {{data.deep}}",
            "a \"b\" 5 {\"at\":[null]}",
        ),
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
        ("{{i}}{{vu}}{{uuid}}{{random 1 2}}{{data.q}}", Ok(())),
        ("{{random 1}}", unknown("{{random 1}}")),
        ("{{random 1 2 3}}", unknown("{{random 1 2 3}}")),
        ("{{random a b}}", unknown("{{random a b}}")),
        ("{{i 1}}", unknown("{{i 1}}")),
        ("{{data.}}", unknown("{{data.}}")),
        (
            "{{random 2 1}}",
            Err(TemplateError::Empty("{{random 2 1}}".to_owned())),
        ),
        (
            "{{data.x}}",
            Err(TemplateError::NoColumn(
                "{{data.x}}".to_owned(),
                "x".to_owned(),
            )),
        ),
        ("{{{{anything", Ok(())),
        ("a {{j}} b", unknown("{{j}}")),
        ("{{}}", unknown("{{}}")),
        ("{{I}}", unknown("{{I}}")),
        ("{{{i}}}", unknown("{{{i}}")),
        ("{{pick words.txt}}", unknown("{{pick words.txt}}")),
        ("a {{i", unclosed("{{i")),
        ("{{", unclosed("{{")),
    ] {
        assert_eq!(check(template, Some(&rows())), expected, "{template}");
    }
    assert_eq!(
        check("{{data.q}}", None),
        Err(TemplateError::NoData("{{data.q}}".to_owned()))
    );
}

#[test]
fn random_numbers_fill_their_bounds_and_agree_within_a_call() {
    let seed = seed();
    let mut seen = [0_u32; 6];
    for i in 0..6_000 {
        let number = seed.call(0, i).random(-2, 3);
        seen[usize::try_from(number + 2).unwrap()] += 1;
    }
    // 1,000 of each are expected, with a standard deviation of 29.
    assert!(seen.iter().all(|n| (850..1_150).contains(n)), "{seen:?}");
    let text = |vu, i| fill_text("{{random 1 1000000000}}", seed.call(vu, i));
    // Whoever makes the call.
    assert_eq!(text(1, 2), text(2, 2));
    assert_ne!(text(1, 2), text(1, 3));
    let both = fill_text("{{random 0 99999}} {{random 1 100000}}", seed.call(0, 0));
    let (one, other) = both.split_once(' ').unwrap();
    let step = other.parse::<i64>().unwrap() - one.parse::<i64>().unwrap();
    assert_ne!(step, 1, "bounds of their own have numbers of their own");
    for (low, high) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MAX), (-1, 0)] {
        let number = seed.call(0, 7).random(low, high);
        assert!((low..=high).contains(&number));
    }
}

#[test]
fn rows_come_round() {
    let seed = seed();
    let numbers: Vec<String> = (0..5)
        .map(|i| fill_text("{{data.n}}", seed.call(9, i)))
        .collect();
    assert_eq!(numbers, ["5", "6", "5", "6", "5"]);
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
fn uuids_differ_by_seed_scenario_and_call_whoever_makes_it_and_agree_within_it() {
    let uuid = |seed, scenario: &str, vu, i| CallSeed::new(seed, scenario).call(vu, i).uuid();
    let all = [
        uuid(1, "a", 0, 0),
        uuid(2, "a", 0, 0),
        uuid(1, "b", 0, 0),
        uuid(1, "a", 0, 1),
        uuid(1, "a", 0, u64::MAX),
    ];
    for (n, one) in all.iter().enumerate() {
        assert_eq!(one.get_version_num(), 4);
        assert!(!all[..n].contains(one), "{all:?}");
    }
    assert_eq!(all[0], uuid(1, "a", 0, 0));
    assert_eq!(all[0], uuid(1, "a", 7, 0));
    let seed = seed();
    let twice = fill_text("{{uuid}}{{uuid}}", seed.call(0, 5));
    assert_eq!(twice[..36], twice[36..]);
}

/// What the bytes for the engine mean, read back.
fn rendered(value: &Value, seed: &CallSeed, vu: u32, i: u64) -> Value {
    let compiled = CompiledArguments::new(value.as_object().unwrap(), Some(&rows())).unwrap();
    let mut out = b"before".to_vec();
    compiled.render_json(seed.call(vu, i), &mut out);
    serde_json::from_slice(out.strip_prefix(b"before").unwrap()).unwrap()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[{}iuvd \"\\\\\n]{0,12}",
        "(\\{\\{(i|vu|uuid|random 1 9|data.q|data.deep)\\}\\}|\\{\\{\\{\\{|[a\"\\\\\n\u{202e}é]){0,6}",
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
        prop_assert_eq!(check(&text, None).is_ok(), CompiledText::new(&text, None).is_ok());
        if let Err(error) = check(&text, None) {
            prop_assert!(text.contains(error.place()));
        }
    }

    #[test]
    fn an_escaped_text_fills_to_itself(text in text()) {
        let seed = seed();
        prop_assert_eq!(check(&escape(&text), None), Ok(()));
        prop_assert_eq!(fill_text(&escape(&text), seed.call(1, 2)), text);
    }

    #[test]
    fn bytes_and_values_agree(value in json_value(), vu in any::<u32>(), i in any::<u64>()) {
        let seed = seed();
        let wrapped = json!({ "value": value });
        let compiled = CompiledArguments::new(wrapped.as_object().unwrap(), Some(&rows()));
        if compiled.is_ok() {
            prop_assert_eq!(rendered(&wrapped, &seed, vu, i), fill(&wrapped, seed.call(vu, i)));
        }
        let escaped = escape_value(&wrapped);
        prop_assert_eq!(rendered(&escaped, &seed, vu, i), wrapped);
    }
}
