//! `[[tool]]`.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Number, Value};
use toml::de::DeValue;

use super::reader::{Context, Entry, Table};
use crate::suite::{
    Expect, GrowingTool, LONGEST_TOOL_NAME, MarkedTools, ToolCall, ToolKind, WritingTool,
    data::DataRows,
    diagnostics::{Diagnostic, shown},
    template::{self, TemplateError},
};

const TOOL_HELP: &str = "write each tool as a [[tool]] section with a `name` and `arguments`";
const NAME_HELP: &str =
    "write the tool's name as the server's tools/list gives it: name = \"search\"";

const WRITES_HELP: &str = "write it as writes = { read-back = \"read_notes\", contains = \"note {{i}}\" }: the tool that \
                           reads, and what it must answer after a call";

/// What `[[tool]]` holds.
#[derive(Default)]
pub(super) struct Tools {
    pub(super) called: Vec<ToolCall>,
    pub(super) marked: MarkedTools,
}

pub(super) fn read(entry: &Entry<'_, '_>) -> Tools {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut out = Tools::default();
    if entry.value().as_table().is_some() {
        entry.cx().report(
            Diagnostic::new(
                entry.key_span(),
                "`tool` must be an array of tables",
                "one table",
            )
            .help("write [[tool]] with two brackets on each side"),
        );
        return out;
    }
    for element in entry.elements(TOOL_HELP).unwrap_or_default() {
        let Some(table) = element.table("[[tool]]", TOOL_HELP) else {
            continue;
        };
        let Some(ReadTool {
            call,
            read_back,
            grows_with,
            name,
        }) = read_tool(table)
        else {
            continue;
        };
        if !seen.insert(call.name.clone()) {
            name.refuse(
                format!("tool `{}` has more than one entry", shown(&call.name)),
                "the second entry",
                "keep one [[tool]] a tool: scenarios are named after it",
            );
            continue;
        }
        if let Some(argument) = grows_with {
            out.marked.growing.push(GrowingTool {
                tool: call.clone(),
                argument,
            });
        }
        match read_back {
            Some(read_back) => out.marked.writing.push(WritingTool {
                write: call,
                read_back,
            }),
            None => out.called.push(call),
        }
    }
    out
}

/// One `[[tool]]`.
struct ReadTool<'c, 't> {
    call: ToolCall,
    /// What reads it back if it writes.
    read_back: Option<ToolCall>,
    /// The argument that says how large its answers are.
    grows_with: Option<String>,
    /// Where its name stands.
    name: Entry<'c, 't>,
}

fn read_tool<'c, 't>(mut table: Table<'c, 't>) -> Option<ReadTool<'c, 't>> {
    let name = table.require("name", NAME_HELP);
    let arguments = table.get("arguments");
    let expect = table.get("expect");
    let kind = table.get("kind");
    let data = table.get("data");
    let writes = table.get("writes");
    let grows_with = table.get("grows-with");
    table.finish(&[]);
    if let (Some(_), Some(grows_with)) = (&writes, &grows_with) {
        grows_with.refuse(
            "a tool that writes is not called for large answers",
            "not beside `writes`",
            "leave one of the two out",
        );
    }

    let rows = data.as_ref().map_or(Rows::None, |entry| {
        read_data(entry).map_or(Rows::Unreadable, Rows::Read)
    });
    let arguments = arguments
        .as_ref()
        .map(|entry| read_arguments(entry, &rows))
        .unwrap_or_default();
    let expect = expect
        .and_then(|entry| entry.table("`expect`", "write it as expect = { contains = \"text\" }"))
        .map(|table| read_expect(table, &rows))
        .unwrap_or_default();
    let kind = kind
        .and_then(|entry| {
            entry.choice(&[
                ("compute", ToolKind::Compute),
                ("external", ToolKind::External),
            ])
        })
        .unwrap_or_default();
    let read_back = writes
        .and_then(|entry| entry.table("`writes`", WRITES_HELP))
        .map(|table| read_writes(table, &rows));
    let grows_with = grows_with.map(|entry| read_grows_with(&entry, &arguments));
    let entry = name?;
    let name = read_name(&entry)?;
    let data = match rows {
        Rows::Read(rows) => Some(rows),
        Rows::None | Rows::Unreadable => None,
    };
    let read_back = match read_back {
        Some(read_back) => Some(ToolCall {
            data: data.clone(),
            ..read_back?
        }),
        None => None,
    };
    let call = ToolCall {
        name,
        arguments,
        expect,
        kind,
        data,
    };
    Some(ReadTool {
        call,
        read_back,
        grows_with: match grows_with {
            Some(argument) => Some(argument?),
            None => None,
        },
        name: entry,
    })
}

fn read_grows_with(entry: &Entry<'_, '_>, arguments: &Map<String, Value>) -> Option<String> {
    const HELP: &str =
        "name the argument that says how large the answer is: grows-with = \"bytes\"";
    let argument = entry.filled_string(HELP)?;
    let is_usable = arguments
        .get(argument)
        .and_then(Value::as_f64)
        .is_some_and(|number| number > 0.0);
    if !is_usable {
        entry.refuse(
            format!("`arguments` has no number `{}`", shown(argument)),
            "no number above 0 there",
            "write the argument with a small number, such as arguments = { bytes = 100 }",
        );
        return None;
    }
    Some(argument.to_owned())
}

/// What reads back; without its rows.
fn read_writes(mut table: Table<'_, '_>, rows: &Rows) -> Option<ToolCall> {
    let name = table.require("read-back", WRITES_HELP);
    let contains = table.require("contains", WRITES_HELP);
    let arguments = table.get("arguments");
    table.finish(&[]);
    let arguments = arguments
        .as_ref()
        .map(|entry| read_arguments(entry, rows))
        .unwrap_or_default();
    let contains = contains.and_then(|entry| {
        let text = entry.filled_string(WRITES_HELP)?;
        check_template(entry.cx(), &entry.span(), text, rows);
        if !text.contains("{{") {
            entry.refuse(
                "`contains` is the same for every write",
                "no placeholder",
                "name what only this call wrote, such as contains = \"note {{i}}\", with the same \
                 placeholder in the write's `arguments`",
            );
            return None;
        }
        Some(text.to_owned())
    });
    let name = read_name(&name?)?;
    Some(ToolCall {
        name,
        arguments,
        expect: Expect {
            contains: Some(contains?),
        },
        kind: ToolKind::Compute,
        data: None,
    })
}

fn read_name(entry: &Entry<'_, '_>) -> Option<String> {
    let name = entry.filled_string(NAME_HELP)?;
    if name.chars().count() > LONGEST_TOOL_NAME || name.chars().any(char::is_control) {
        entry.refuse(
            "`name` cannot be a tool's name",
            "too long, or with control characters",
            format!(
                "allowed: at most {LONGEST_TOOL_NAME} characters, none of them a control character"
            ),
        );
        return None;
    }
    Some(name.to_owned())
}

/// The rows of a tool, as far as they are known.
enum Rows {
    None,
    /// They are there, but which columns they have is not known.
    Unreadable,
    Read(Arc<DataRows>),
}

fn read_data(entry: &Entry<'_, '_>) -> Option<Arc<DataRows>> {
    let help = "write the path of a file of rows, relative to this one: data = \"queries.csv\"";
    let path = entry.filled_string(help)?;
    let is_file = |ending: &str| {
        std::path::Path::new(path)
            .extension()
            .is_some_and(|it| it.eq_ignore_ascii_case(ending))
    };
    let read: fn(&str) -> _ = if is_file("csv") {
        DataRows::from_csv
    } else if is_file("jsonl") || is_file("ndjson") {
        DataRows::from_json_lines
    } else {
        entry.refuse(
            "`data` names a file of an unknown kind",
            "neither .csv nor .jsonl",
            "write comma-separated values with a first line of names to a .csv file, or one JSON \
             object a line to a .jsonl file",
        );
        return None;
    };
    let text = match entry.cx().file(path) {
        Ok(text) => text,
        Err(problem) => {
            let problem = format!("the rows of `data` cannot be read: {}", shown(&problem));
            entry.refuse(problem, "named here", help);
            return None;
        }
    };
    match read(&text) {
        Ok(rows) => Some(Arc::new(rows)),
        Err(error) => {
            let problem = format!("the rows of `data` cannot be used: {error}");
            let help = "every row needs the columns that the first line or the first row names";
            entry.refuse(problem, "named here", help);
            None
        }
    }
}

fn read_expect(mut table: Table<'_, '_>, rows: &Rows) -> Expect {
    let contains = table.get("contains");
    table.finish(&[]);
    Expect {
        contains: contains.and_then(|entry| {
            let text = entry.string("write the text that a right answer holds")?;
            if text.is_empty() {
                entry.refuse(
                    "`contains` is empty",
                    "every answer contains nothing",
                    "write a text that only a right answer holds, or take it out",
                );
                return None;
            }
            check_template(entry.cx(), &entry.span(), text, rows);
            Some(text.to_owned())
        }),
    }
}

fn read_arguments(entry: &Entry<'_, '_>, rows: &Rows) -> Map<String, Value> {
    let help = "write it as arguments = { query = \"text {{i}}\", limit = 5 }";
    if entry.value().as_table().is_none() {
        entry.wrong_type("a table", help);
        return Map::new();
    }
    match to_json(entry.cx(), &entry.span(), entry.value(), rows) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// TOML as JSON: dates become strings in RFC 3339. What JSON cannot say is reported.
fn to_json(
    cx: &Context<'_>,
    span: &std::ops::Range<usize>,
    value: &DeValue<'_>,
    rows: &Rows,
) -> Value {
    match value {
        DeValue::String(text) => {
            check_template(cx, span, text, rows);
            Value::String(text.as_ref().to_owned())
        }
        DeValue::Integer(number) => {
            let (text, radix) = (number.as_str(), number.radix());
            i64::from_str_radix(text, radix)
                .map(Number::from)
                .or_else(|_| u64::from_str_radix(text, radix).map(Number::from))
                .map_or_else(
                    |_| no_such_number(cx, span, "a whole number of at most 64 bits"),
                    Value::Number,
                )
        }
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map_or_else(
                || no_such_number(cx, span, "a finite number: JSON has no infinity and no NaN"),
                Value::Number,
            ),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(array) => array
            .iter()
            .map(|item| to_json(cx, &item.span(), item.get_ref(), rows))
            .collect(),
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, item)| {
                    let json = to_json(cx, &item.span(), item.get_ref(), rows);
                    (key.get_ref().as_ref().to_owned(), json)
                })
                .collect(),
        ),
    }
}

fn no_such_number(cx: &Context<'_>, span: &std::ops::Range<usize>, allowed: &str) -> Value {
    cx.report(
        Diagnostic::new(
            span.clone(),
            "this number cannot be sent as JSON",
            "not in JSON",
        )
        .help(format!("allowed: {allowed}")),
    );
    Value::Null
}

fn check_template(cx: &Context<'_>, span: &std::ops::Range<usize>, text: &str, rows: &Rows) {
    let data = match rows {
        Rows::Read(rows) => Some(&**rows),
        Rows::None | Rows::Unreadable => None,
    };
    let Err(error) = template::check(text, data) else {
        return;
    };
    if matches!((&error, rows), (TemplateError::NoData(_), Rows::Unreadable)) {
        return;
    }
    let problem = Diagnostic::new(
        cx.narrow(span, error.place()),
        error.to_string(),
        "not a placeholder",
    );
    cx.report(match &error {
        TemplateError::Unknown(_) | TemplateError::Unclosed(_) => problem
            .help(format!("allowed: {}", template::PLACEHOLDERS))
            .help("write `{{{{` for the characters `{{`"),
        TemplateError::Empty(_) => problem.help("write the smaller number first"),
        TemplateError::NoData(_) => problem.help("add data = \"rows.csv\" to this tool"),
        TemplateError::NoColumn(..) => {
            let columns = data.map(DataRows::columns).unwrap_or_default();
            let shown: Vec<_> = columns.iter().take(20).map(|name| shown(name)).collect();
            problem.help(format!("its columns: {}", shown.join(", ")))
        }
    });
}
