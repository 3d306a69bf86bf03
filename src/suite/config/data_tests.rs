//! `data` of a tool, and the placeholders that need it.

use super::tests::{good, mistakes};

#[test]
fn rows_of_a_file_fill_arguments() {
    for name in ["rows.csv", "rows.jsonl"] {
        let text = format!(
            "[[tool]]\nname = \"a\"\ndata = \"{name}\"\narguments = {{ q = \"{{{{data.query}}}}\" }}\n"
        );
        let config = good(&text);
        let data = config.tools[0].data.as_ref().unwrap();
        let limits: Vec<String> = data
            .cells(data.column("limit").unwrap())
            .map(ToString::to_string)
            .collect();
        assert!(limits[0].contains('1'), "{limits:?}");
    }
}

#[test]
fn mistakes_about_rows() {
    insta::assert_snapshot!(mistakes(
        r#"[[tool]]
name = "no column"
data = "rows.csv"
arguments = { q = "{{data.qury}}", n = "{{random 9 1}}" }

[[tool]]
name = "no file"
data = "missing.csv"
arguments = { q = "{{data.query}}" }

[[tool]]
name = "no kind"
data = "rows.txt"

[[tool]]
name = "torn"
data = "torn.jsonl"

[[tool]]
name = "empty"
data = "empty.csv"

[[tool]]
name = "without"
arguments = { q = "{{data.query}}" }
expect = { contains = "{{data.query}}" }
"#
    ));
}
