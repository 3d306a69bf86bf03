//! Arguments from a JSON Schema: what it states (`const`, `default`, `examples`, `enum`) before
//! what its types allow. Only required properties are filled.

use serde_json::{Map, Number, Value, json};

use super::words;
use crate::suite::{diagnostics::shown, template};

/// Schemas nested deeper than this are given up.
const DEEPEST: u32 = 16;

/// Schemas with more parts than this on the way to a value are given up.
const MOST_STEPS: u32 = 2_000;

/// Arguments longer than this, as JSON, are given up.
const LONGEST_ARGUMENTS: usize = 16 * 1_024;

/// Texts and arrays that must be longer than this are given up.
const LONGEST_TEXT: u64 = 4_096;
const MOST_ITEMS: u64 = 64;

/// Makes the arguments of one call, as a template.
///
/// # Errors
///
/// Why none can be made, in words that go on from the tool's name.
pub(super) fn arguments(input: &Value, tool: &str) -> Result<Map<String, Value>, String> {
    let mut maker = Maker {
        root: input,
        tool,
        steps: 0,
    };
    let place = Place {
        name: "",
        description: "",
    };
    let Value::Object(arguments) = maker.object(input, place, 0)? else {
        return Err("its input schema is not one of an object".to_owned());
    };
    let length = Value::Object(arguments.clone()).to_string().len();
    if length > LONGEST_ARGUMENTS {
        return Err(format!("its arguments would be {length} bytes long"));
    }
    Ok(arguments)
}

/// Whether a tool takes numbers, at least one, and nothing else.
pub(super) fn takes_only_numbers(input: Option<&Value>) -> bool {
    let Some(properties) = input
        .and_then(|input| input.get("properties"))
        .and_then(Value::as_object)
    else {
        return false;
    };
    !properties.is_empty()
        && properties.values().all(|property| {
            matches!(
                property.get("type").and_then(Value::as_str),
                Some("integer" | "number")
            )
        })
}

/// The property that a value is for.
#[derive(Clone, Copy)]
struct Place<'s> {
    name: &'s str,
    description: &'s str,
}

impl Place<'_> {
    fn needs(&self, what: &str) -> String {
        format!("needs `{}`: {what}", shown(self.name))
    }
}

struct Maker<'s> {
    root: &'s Value,
    tool: &'s str,
    steps: u32,
}

impl<'s> Maker<'s> {
    fn make(&mut self, schema: &'s Value, place: Place<'s>, depth: u32) -> Result<Value, String> {
        self.steps += 1;
        if depth > DEEPEST || self.steps > MOST_STEPS {
            return Err("its input schema is too deep or too large".to_owned());
        }
        let schema = match schema {
            Value::Object(map) => map,
            Value::Bool(true) => return self.any_value(place),
            _ => return Err(place.needs("its schema allows no value")),
        };
        let place = Place {
            description: text(schema, "description").unwrap_or(place.description),
            ..place
        };
        if let Some(stated) = stated(schema) {
            return Ok(template::escape_value(stated));
        }
        if let Some(reference) = text(schema, "$ref") {
            let target = self
                .resolve(reference)
                .ok_or_else(|| place.needs("its schema refers to something that is not in it"))?;
            return self.make(target, place, depth + 1);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(key).and_then(Value::as_array) {
                return self.first_makeable(branches, place, depth);
            }
        }
        if let Some([only]) = schema
            .get("allOf")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
        {
            return self.make(only, place, depth + 1);
        }
        if schema.contains_key("allOf") {
            return Err(place.needs("its schema combines several (allOf)"));
        }
        self.typed(schema, place, depth)
    }

    /// The first branch that something can be made for; `null` only if nothing else can.
    fn first_makeable(
        &mut self,
        branches: &'s [Value],
        place: Place<'s>,
        depth: u32,
    ) -> Result<Value, String> {
        let mut first_error = None;
        let mut null = false;
        for branch in branches {
            match self.make(branch, place, depth + 1) {
                Ok(Value::Null) => null = true,
                Ok(value) => return Ok(value),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        if null {
            return Ok(Value::Null);
        }
        Err(first_error.unwrap_or_else(|| place.needs("its schema allows no value")))
    }

    fn typed(
        &mut self,
        schema: &'s Map<String, Value>,
        place: Place<'s>,
        depth: u32,
    ) -> Result<Value, String> {
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ if schema.contains_key("properties") => vec!["object"],
            _ if schema.contains_key("items") => vec!["array"],
            _ => return self.any_value(place),
        };
        let mut first_error = None;
        let (nulls, others): (Vec<&str>, Vec<&str>) = types.iter().partition(|t| **t == "null");
        for kind in others {
            let made = match kind {
                "string" => self.string(schema, place),
                "integer" => number(schema, place, true),
                "number" => number(schema, place, false),
                "boolean" => Ok(Value::Bool(false)),
                "array" => self.array(schema, place, depth),
                "object" => self.properties(schema, place, depth),
                _ => Err(place.needs("its schema has an unknown type")),
            };
            match made {
                Ok(value) => return Ok(value),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        if nulls.is_empty() {
            Err(first_error.unwrap_or_else(|| place.needs("its schema allows no value")))
        } else {
            Ok(Value::Null)
        }
    }

    /// The root: an object even where its schema does not say so.
    fn object(&mut self, schema: &'s Value, place: Place<'s>, depth: u32) -> Result<Value, String> {
        match schema {
            Value::Object(map) if text(map, "type").is_none_or(|kind| kind == "object") => {
                self.properties(map, place, depth)
            }
            _ => Err("its input schema is not one of an object".to_owned()),
        }
    }

    fn properties(
        &mut self,
        schema: &'s Map<String, Value>,
        place: Place<'s>,
        depth: u32,
    ) -> Result<Value, String> {
        let mut out = Map::new();
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            let property = schema.get("properties").and_then(|all| all.get(name));
            let inner = Place {
                name,
                description: "",
            };
            let value = match property {
                Some(property) => self.make(property, inner, depth + 1)?,
                None => self.any_value(inner)?,
            };
            out.insert(name.to_owned(), value);
        }
        let fewest = schema
            .get("minProperties")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        if fewest > u64::try_from(out.len()).unwrap_or(u64::MAX) {
            return Err(if place.name.is_empty() {
                "needs arguments of its user's choice (minProperties)".to_owned()
            } else {
                place.needs("it needs keys of its user's choice (minProperties)")
            });
        }
        Ok(Value::Object(out))
    }

    fn array(
        &mut self,
        schema: &'s Map<String, Value>,
        place: Place<'s>,
        depth: u32,
    ) -> Result<Value, String> {
        let fewest = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        if fewest == 0 {
            return Ok(json!([]));
        }
        let unique = schema
            .get("uniqueItems")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        if fewest > MOST_ITEMS || (unique && fewest > 1) {
            return Err(place.needs(&format!(
                "an array of at least {fewest} items cannot be guessed"
            )));
        }
        let item = match schema.get("items") {
            Some(items) => self.make(items, place, depth + 1)?,
            None => self.any_value(place)?,
        };
        Ok((0..fewest).map(|_| item.clone()).collect())
    }

    fn any_value(&self, place: Place<'_>) -> Result<Value, String> {
        self.string(&Map::new(), place)
    }

    fn string(&self, schema: &Map<String, Value>, place: Place<'_>) -> Result<Value, String> {
        let Place { name, description } = place;
        if schema.contains_key("pattern") {
            return Err(place.needs("its pattern gives no example"));
        }
        let format = text(schema, "format");
        match format {
            Some("date") => return Ok("2026-01-01".into()),
            Some("date-time") => return Ok("2026-01-01T12:00:00Z".into()),
            Some("time") => return Ok("12:00:00Z".into()),
            Some("email") => return Ok("user@example.com".into()),
            _ => {}
        }
        if words::time_zone(name, description) {
            return Ok("UTC".into());
        }
        if description.contains("HH:MM") && !description.contains("YYYY") {
            return Ok("12:00".into());
        }
        if let Some(word) = words::unknowable(name, description) {
            return Err(place.needs(&format!("no value can be guessed ({word})")));
        }
        match format {
            Some("uuid") => return Ok("{{uuid}}".into()),
            // A made-up address would measure an error or somebody else's server.
            Some("uri" | "uri-reference" | "url" | "iri") => {
                return Err(place.needs("no address can be guessed"));
            }
            Some(other) => {
                return Err(place.needs(&format!(
                    "no value of format {} can be guessed",
                    shown(other)
                )));
            }
            None => {}
        }
        if words::free_text(name, description, self.tool) {
            return sentence(schema, place);
        }
        Err(place.needs("no value can be guessed"))
    }

    fn resolve(&self, reference: &str) -> Option<&'s Value> {
        let pointer = reference.strip_prefix('#')?;
        self.root.pointer(pointer)
    }
}

fn text<'s>(schema: &'s Map<String, Value>, key: &str) -> Option<&'s str> {
    schema.get(key).and_then(Value::as_str)
}

/// A value that the schema itself names. `null` counts only as a constant.
fn stated(schema: &Map<String, Value>) -> Option<&Value> {
    if let Some(constant) = schema.get("const") {
        return Some(constant);
    }
    let first = |key| {
        schema
            .get(key)
            .and_then(Value::as_array)
            .and_then(|values| values.iter().find(|value| !value.is_null()))
    };
    schema
        .get("default")
        .filter(|value| !value.is_null())
        .or_else(|| first("examples"))
        .or_else(|| first("enum"))
}

/// Free text of the wanted length, with the call's number in it where there is room: calls that
/// differ are not answered from a cache by accident, and mixed-up answers can be told apart.
fn sentence(schema: &Map<String, Value>, place: Place<'_>) -> Result<Value, String> {
    /// `hello ` and the longest number.
    const WITH_NUMBER: u64 = 26;
    const WITHOUT_NUMBER: u64 = 6;
    let bound = |key| schema.get(key).and_then(Value::as_u64);
    let shortest = bound("minLength").unwrap_or(0);
    let longest = bound("maxLength").unwrap_or(LONGEST_TEXT.max(shortest));
    if shortest > longest || shortest > LONGEST_TEXT {
        return Err(place.needs(&format!(
            "a text of at least {shortest} characters cannot be guessed"
        )));
    }
    let pad = |have: u64| "a".repeat(usize::try_from(shortest.saturating_sub(have)).unwrap_or(0));
    if longest >= WITH_NUMBER.max(shortest + 20) {
        let padding = pad(WITHOUT_NUMBER + 1);
        return Ok(format!("hello{padding} {{{{i}}}}").into());
    }
    let text = format!("hello{}", pad(5));
    let cut: String = text
        .chars()
        .take(usize::try_from(longest).unwrap_or(usize::MAX))
        .collect();
    Ok(cut.into())
}

/// The number nearest to 1 that the schema allows.
fn number(schema: &Map<String, Value>, place: Place<'_>, whole: bool) -> Result<Value, String> {
    if words::names_one_thing(place.name) {
        return Err(place.needs("no value can be guessed (it names one thing among many)"));
    }
    let bound = |key| schema.get(key).and_then(Value::as_f64);
    // Before 2019 the exclusive bounds were flags beside the bounds.
    let flag = |key| schema.get(key).and_then(Value::as_bool) == Some(true);
    let step = bound("multipleOf").filter(|step| *step > 0.0);
    let grain = step.unwrap_or(1.0);
    let mut low = bound("minimum").unwrap_or(f64::NEG_INFINITY);
    let mut high = bound("maximum").unwrap_or(f64::INFINITY);
    let open_low = if flag("exclusiveMinimum") {
        low
    } else {
        bound("exclusiveMinimum").unwrap_or(f64::NEG_INFINITY)
    };
    let open_high = if flag("exclusiveMaximum") {
        high
    } else {
        bound("exclusiveMaximum").unwrap_or(f64::INFINITY)
    };
    low = low.max(open_low);
    high = high.min(open_high);
    let allowed = |n: f64| {
        n.is_finite()
            && n >= low
            && n <= high
            && n > open_low
            && n < open_high
            && (!whole || n.fract() == 0.0)
            && step.is_none_or(|step| (n / step).fract() == 0.0)
    };
    let on_grid = |n: f64| [(n / grain).ceil() * grain, (n / grain).floor() * grain];
    let candidates = [1.0, 0.0, grain]
        .into_iter()
        .chain(on_grid(low))
        .chain([on_grid(low)[0] + grain])
        .chain(on_grid(high))
        .chain([on_grid(high)[1] - grain])
        .chain([low, high, f64::midpoint(low, high)]);
    candidates
        .filter(|n| allowed(*n))
        .min_by(|a, b| (a - 1.0).abs().total_cmp(&(b - 1.0).abs()))
        .and_then(json_number)
        .map(Value::Number)
        .ok_or_else(|| place.needs("no number that its schema allows was found"))
}

/// Whole numbers without a decimal point, as people write them.
fn json_number(n: f64) -> Option<Number> {
    /// Every whole number up to here is exact in a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if n.fract() == 0.0 && n.abs() <= EXACT {
        // The text of a whole float is a whole number: no cast that could be wrong.
        return format!("{n:.0}").parse::<i64>().ok().map(Number::from);
    }
    Number::from_f64(n)
}
