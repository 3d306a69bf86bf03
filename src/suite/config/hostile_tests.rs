//! Any text is read or refused, and no secret is shown.

use proptest::prelude::*;

use super::{
    parse,
    tests::{SECRET, WHOLE, good, outside},
};

/// Texts that look enough like a configuration to get far into the reader.
fn nearly_a_config() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[server]\n",
        "[[tool]]\n",
        "[tool]\n",
        "[suite]\n",
        "[gate]\n",
        "[server.env]\n",
        "command = ",
        "url = ",
        "env = ",
        "headers = ",
        "name = ",
        "arguments = ",
        "expect = ",
        "tolerance = ",
        "budget = ",
        "rounds = ",
        "max-time = ",
        "transport = ",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "\"\"\"",
        "\n",
        "\r\n",
        ",",
        "=",
        "#",
        "\t",
        "\0",
        "é",
        "\u{202e}",
        "😀",
        "\"${TOKEN}\"",
        "\"${\"",
        "\"{{i}}\"",
        "\"{{\"",
        "\"{port}\"",
        "\"http://a:b@c/{port}\"",
        "\"20%\"",
        "\"10MB\"",
        "\"5s\"",
        "5",
        "0x",
        "1979-05-27",
        "inf",
        "A = \"b\"",
        "a.b.c = 1\n",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn survives(text: &str) -> Result<(), TestCaseError> {
    if let Err(diagnostics) = parse("mcpgate.toml", text, outside()) {
        prop_assert!(!diagnostics.problems().is_empty());
        for shown in [
            diagnostics.render(false),
            diagnostics.render(true),
            format!("{diagnostics:?}"),
        ] {
            prop_assert!(!shown.contains(SECRET), "{}", shown);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        survives(&text)?;
    }

    #[test]
    fn texts_near_a_config_are_read_or_refused(text in nearly_a_config()) {
        survives(&text)?;
    }

    #[test]
    fn a_damaged_config_is_read_or_refused(
        at in 0..WHOLE.len(),
        cut in 0_usize..30,
        insert in "[\\PC\n\"\\[\\]{}=,$]{0,4}",
    ) {
        let mut text = WHOLE.to_owned();
        text.replace_range(at..(at + cut).min(WHOLE.len()), &insert);
        survives(&text)?;
    }

    #[test]
    fn percentages_come_back(percent in 1_u32..=100_000) {
        // From 1.00 % to 1000.00 %.
        let percent = f64::from(percent.max(100)) / 100.0;
        let config = good(&format!("gate.tolerance.startup = \"{percent}%\""));
        prop_assert!((config.gate.tolerance.startup - percent / 100.0).abs() < 1e-9);
    }
}

/// Trees are read by recursion; the TOML reader bounds their depth.
#[test]
fn endless_dotted_keys_do_not_exhaust_the_stack() {
    let deep = "a.".repeat(100_000);
    for text in [
        format!("[[tool]]\nname = \"a\"\narguments.{deep}b = 1\n"),
        format!("[[tool]]\nname = \"a\"\n[tool.arguments.{deep}b]\nx = 1\n"),
    ] {
        let diagnostics = parse("mcpgate.toml", &text, outside()).unwrap_err();
        assert!(
            diagnostics.problems()[0]
                .message
                .contains("recursion limit"),
            "{:?}",
            diagnostics.problems()
        );
    }
}
