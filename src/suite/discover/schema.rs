//! Arguments from a JSON Schema: what it states (`const`, `default`, `examples`, `enum`) before
//! what its types allow. Only required properties are filled.
//!
//! Crates that make instances of a schema (`json_schema_fuzz` and its kind) draw them at random, to find
//! faults. A benchmark wants what the author of the schema gave as an example, the same each time, and to
//! be told what was made up.

use serde_json::{Map, Value, json};

use super::{
    Guesses,
    layers::Layers,
    scalars::{Place, number, sentence},
    words,
};
use crate::suite::{diagnostics::shown, template};

/// Schemas nested deeper than this are given up.
const DEEPEST: u32 = 16;

/// Schemas with more parts than this on the way to a value are given up.
const MOST_STEPS: u32 = 6_000;

/// Arguments longer than this, as JSON, are given up.
const LONGEST_ARGUMENTS: usize = 16 * 1_024;

/// Missing arguments beyond this are not looked for.
const MOST_MISSING: usize = 20;

/// Optional arguments beyond this are not named.
const MOST_OPTIONAL: usize = 30;

/// Arrays that must be longer than this are given up.
const MOST_ITEMS: u64 = 64;

/// Arguments of one call, and where they came from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Arguments {
    /// The arguments, as a template. What is missing has a stand-in of its type.
    pub template: Map<String, Value>,
    /// Required arguments that are made up, in the order of the schema.
    pub made_up: Vec<MadeUp>,
    /// Required arguments for which nothing can be made: name and reason, in the order of the schema.
    pub missing: Vec<(String, String)>,
    /// Arguments that may be given and are not.
    pub optional: Vec<String>,
    /// Why nothing at all can be made, in words that go on from the tool's name.
    pub problem: Option<String>,
}

/// A value that the schema allows and does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeUp {
    /// The argument, with a path for one inside another: `filter.limit`.
    pub argument: String,
    /// What it is: `the first of 3 words that are allowed`.
    pub what: String,
}

impl Arguments {
    /// Why no call can be made, in words that go on from the tool's name.
    #[must_use]
    pub fn obstacle(&self) -> Option<&str> {
        let missing = self.missing.first().map(|(_, reason)| reason.as_str());
        missing.or(self.problem.as_deref())
    }
}

/// Makes the arguments of one call, as a template, as far as that can be done.
pub(super) fn arguments(input: &Value, tool: &str, guesses: Guesses<'_>) -> Arguments {
    let mut maker = Maker {
        root: input,
        tool,
        guesses,
        steps: 0,
        path: Vec::new(),
        made_up: Vec::new(),
    };
    let mut out = maker.root_object().unwrap_or_else(|problem| Arguments {
        problem: Some(problem),
        ..Arguments::default()
    });
    let length = Value::Object(out.template.clone()).to_string().len();
    if length > LONGEST_ARGUMENTS {
        out.template = Map::new();
        if out.obstacle().is_none() {
            out.problem = Some(format!("its arguments would be {length} bytes long"));
        }
    }
    out
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

struct Maker<'s> {
    root: &'s Value,
    tool: &'s str,
    guesses: Guesses<'s>,
    steps: u32,
    /// Names of the properties on the way to the value that is being made.
    path: Vec<&'s str>,
    made_up: Vec<MadeUp>,
}

impl<'s> Maker<'s> {
    fn step(&mut self, depth: u32) -> Result<(), String> {
        self.steps += 1;
        if depth > DEEPEST || self.steps > MOST_STEPS {
            return Err("its input schema is too deep or too large".to_owned());
        }
        Ok(())
    }

    /// Adds a schema with what it refers to and combines.
    fn add(
        &mut self,
        layers: &mut Layers<'s>,
        schema: &'s Value,
        place: Place<'s>,
        depth: u32,
    ) -> Result<(), String> {
        self.step(depth)?;
        let schema = match schema {
            Value::Object(map) => map,
            Value::Bool(true) => return Ok(()),
            _ => {
                layers.is_void = true;
                return Ok(());
            }
        };
        layers.layers.push(schema);
        // What the schema states itself needs nothing of what it refers to.
        if depth > 0 && layers.stated().is_some() {
            return Ok(());
        }
        if let Some(reference) = text(schema, "$ref") {
            let target = self
                .resolve(reference)
                .ok_or_else(|| place.needs("its schema refers to something that is not in it"))?;
            self.add(layers, target, place, depth + 1)?;
        }
        let all = schema.get("allOf").and_then(Value::as_array);
        for part in all.into_iter().flatten() {
            self.add(layers, part, place, depth + 1)?;
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(key).and_then(Value::as_array) {
                layers.choices.push(branches);
            }
        }
        Ok(())
    }

    fn make(
        &mut self,
        schemas: &[&'s Value],
        place: Place<'s>,
        depth: u32,
    ) -> Result<Value, String> {
        self.step(depth)?;
        let mut layers = Layers::default();
        for schema in schemas {
            self.add(&mut layers, schema, place, depth)?;
        }
        self.of(layers, place, depth)
    }

    fn of(
        &mut self,
        mut layers: Layers<'s>,
        place: Place<'s>,
        depth: u32,
    ) -> Result<Value, String> {
        self.step(depth)?;
        if layers.is_void {
            return Err(place.needs("its schema allows no value"));
        }
        let place = Place {
            description: layers.text("description").unwrap_or(place.description),
            ..place
        };
        if let Some((stated, choices)) = layers.stated() {
            if let Some(choices) = choices {
                self.note(format!("the first of {choices} that are allowed"));
            }
            return Ok(template::escape_value(stated));
        }
        if let Some(branches) = layers.choices.pop() {
            return self.first_makeable(&layers, branches, place, depth);
        }
        self.typed(&layers, place, depth)
    }

    /// The first branch that something can be made for; `null` only if nothing else can.
    fn first_makeable(
        &mut self,
        layers: &Layers<'s>,
        branches: &'s [Value],
        place: Place<'s>,
        depth: u32,
    ) -> Result<Value, String> {
        let mut first_error = None;
        let mut null = false;
        let noted = self.made_up.len();
        for branch in branches {
            let mut with_branch = layers.clone();
            let made = self
                .add(&mut with_branch, branch, place, depth + 1)
                .and_then(|()| self.of(with_branch, place, depth + 1));
            match made {
                Ok(Value::Null) => null = true,
                Ok(value) => return Ok(value),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
            self.made_up.truncate(noted);
        }
        if null {
            return Ok(Value::Null);
        }
        Err(first_error.unwrap_or_else(|| place.needs("its schema allows no value")))
    }

    fn typed(
        &mut self,
        layers: &Layers<'s>,
        place: Place<'s>,
        depth: u32,
    ) -> Result<Value, String> {
        let types = match layers.types() {
            Some(types) => types,
            None if layers.has("properties") || layers.has("required") => vec!["object"],
            None if layers.has("items") || layers.has("prefixItems") => vec!["array"],
            None => vec!["string"],
        };
        let mut first_error = None;
        let (nulls, others): (Vec<&str>, Vec<&str>) = types.iter().partition(|t| **t == "null");
        for kind in others {
            let noted = self.made_up.len();
            let made = match kind {
                "string" => self.string(layers, place),
                "integer" => self.number(layers, place, true),
                "number" => self.number(layers, place, false),
                "boolean" => {
                    self.note("false".to_owned());
                    Ok(Value::Bool(false))
                }
                "array" => self.array(layers, place, depth),
                "object" => self.properties(layers, place, depth),
                _ => Err(place.needs("its schema has an unknown type")),
            };
            match made {
                Ok(value) => return Ok(value),
                Err(error) => {
                    self.made_up.truncate(noted);
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

    /// Notes that the value which is being made is made up.
    fn note(&mut self, what: String) {
        let argument = self.path.join(".");
        self.made_up.push(MadeUp { argument, what });
    }

    /// The root: an object even where its schema does not say so. What cannot be made of it is
    /// told, and the rest is made all the same.
    fn root_object(&mut self) -> Result<Arguments, String> {
        const NO_OBJECT: &str = "its input schema is not one of an object";
        let place = Place {
            name: "",
            description: "",
        };
        if !self.root.is_object() {
            return Err(NO_OBJECT.to_owned());
        }
        let mut layers = Layers::default();
        self.add(&mut layers, self.root, place, 0)?;
        // Which of several sets of arguments is wanted; the first will do.
        while let Some(branches) = layers.choices.pop() {
            if let Some(first) = branches.first() {
                self.add(&mut layers, first, place, 1)?;
            }
        }
        let is_object = layers.types().is_none_or(|types| types.contains(&"object"));
        if layers.is_void || !is_object {
            return Err(NO_OBJECT.to_owned());
        }
        let mut out = Arguments::default();
        for name in layers.required() {
            let noted = self.made_up.len();
            match self.property(&layers, name, 0) {
                Ok(value) => {
                    out.template.insert(name.to_owned(), value);
                }
                Err(reason) => {
                    self.made_up.truncate(noted);
                    let stand_in = stand_in(&layers.property(name));
                    out.template.insert(name.to_owned(), stand_in);
                    out.missing.push((name.to_owned(), reason));
                }
            }
            // Nobody fills in so many.
            if out.missing.len() > MOST_MISSING || self.steps > MOST_STEPS {
                break;
            }
        }
        // A whole call that the schema shows is better than one that is put together.
        let shown = layers.layers.iter().filter_map(|l| l.get("examples"));
        let mut shown = shown.filter_map(Value::as_array).flatten();
        let is_whole = |shown: &&Map<String, Value>| {
            let mut required = layers.required().into_iter();
            required.all(|name| shown.contains_key(name))
        };
        if let Some(shown) = shown.find_map(|s| s.as_object().filter(is_whole)) {
            let shown = shown.iter();
            out.template = shown
                .map(|(name, value)| (name.clone(), template::escape_value(value)))
                .collect();
            out.missing.clear();
            self.made_up.clear();
        }
        let named = layers.layers.iter().filter_map(|l| l.get("properties"));
        for name in named.filter_map(Value::as_object).flat_map(Map::keys) {
            if out.optional.len() == MOST_OPTIONAL {
                break;
            }
            if !out.template.contains_key(name) && !out.optional.contains(name) {
                out.optional.push(name.clone());
            }
        }
        if has_too_few(&layers, &out.template) {
            out.problem = Some("needs arguments of its user's choice (minProperties)".to_owned());
        }
        out.made_up = std::mem::take(&mut self.made_up);
        Ok(out)
    }

    fn property(
        &mut self,
        layers: &Layers<'s>,
        name: &'s str,
        depth: u32,
    ) -> Result<Value, String> {
        let inner = Place {
            name,
            description: "",
        };
        self.path.push(name);
        let made = self.make(&layers.property(name), inner, depth + 1);
        self.path.pop();
        made
    }

    fn properties(
        &mut self,
        layers: &Layers<'s>,
        place: Place<'s>,
        depth: u32,
    ) -> Result<Value, String> {
        let mut out = Map::new();
        for name in layers.required() {
            out.insert(name.to_owned(), self.property(layers, name, depth)?);
        }
        if has_too_few(layers, &out) {
            return Err(place.needs("it needs keys of its user's choice (minProperties)"));
        }
        Ok(Value::Object(out))
    }

    fn array(
        &mut self,
        layers: &Layers<'s>,
        place: Place<'s>,
        depth: u32,
    ) -> Result<Value, String> {
        let fewest = layers.count("minItems", u64::max).unwrap_or(0);
        if fewest == 0 {
            self.note("empty".to_owned());
            return Ok(json!([]));
        }
        if fewest > MOST_ITEMS || (layers.flag("uniqueItems") && fewest > 1) {
            return Err(place.needs(&format!(
                "an array of at least {fewest} items cannot be guessed"
            )));
        }
        let get = |key| layers.layers.iter().find_map(move |layer| layer.get(key));
        let first = get("prefixItems").and_then(Value::as_array);
        let rest: Vec<&Value> = get("items").into_iter().collect();
        let mut items = Vec::new();
        for n in 0..fewest {
            let own = usize::try_from(n).ok().and_then(|n| first?.get(n));
            let noted = self.made_up.len();
            items.push(match own {
                Some(own) => self.make(&[own], place, depth + 1)?,
                None => self.make(&rest, place, depth + 1)?,
            });
            if n > 0 {
                // One note for all of them.
                self.made_up.truncate(noted);
            }
        }
        Ok(Value::Array(items))
    }

    fn string(&mut self, layers: &Layers<'s>, place: Place<'s>) -> Result<Value, String> {
        let value = self.any_string(layers, place)?;
        let what = value.as_str().map(|text| match text {
            "{{uuid}}" => "a new one for each call".to_owned(),
            text => format!("\"{text}\""),
        });
        self.note(what.unwrap_or_default());
        Ok(value)
    }

    fn any_string(&self, layers: &Layers<'s>, place: Place<'s>) -> Result<Value, String> {
        let Place { name, description } = place;
        if layers.has("pattern") {
            return Err(place.needs("its pattern gives no example"));
        }
        let format = layers.text("format");
        match format {
            Some("date") => return Ok("2026-01-01".into()),
            Some("date-time") => return Ok("2026-01-01T12:00:00Z".into()),
            Some("time") => return Ok("12:00:00Z".into()),
            Some("duration") => return Ok("PT1M".into()),
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
            let kind = words::path(name, description, self.tool);
            let known = match kind {
                Some(words::PathKind::File) => self.guesses.file,
                Some(words::PathKind::Folder) => self.guesses.folder,
                None => None,
            };
            if let Some(known) = known {
                return Ok(template::escape(known).into());
            }
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
        if self.guesses.plain_texts || words::free_text(name, description, self.tool) {
            return sentence(layers, place);
        }
        Err(place.needs("no value can be guessed"))
    }

    fn number(
        &mut self,
        layers: &Layers<'s>,
        place: Place<'s>,
        whole: bool,
    ) -> Result<Value, String> {
        let value = number(layers, place, whole)?;
        self.note(value.to_string());
        Ok(value)
    }

    fn resolve(&self, reference: &str) -> Option<&'s Value> {
        let pointer = reference.strip_prefix('#')?;
        self.root.pointer(pointer)
    }
}

fn text<'s>(schema: &'s Map<String, Value>, key: &str) -> Option<&'s str> {
    schema.get(key).and_then(Value::as_str)
}

/// What stands where nothing can be made: empty, of the wanted type.
fn stand_in(schemas: &[&Value]) -> Value {
    let kinds = schemas.iter().filter_map(|schema| schema.get("type"));
    let mut names = kinds.flat_map(|kind| match kind {
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect::<Vec<_>>(),
    });
    match names.next() {
        Some("integer" | "number") => json!(0),
        Some("boolean") => json!(false),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!(""),
    }
}

fn has_too_few(layers: &Layers<'_>, made: &Map<String, Value>) -> bool {
    let fewest = layers.count("minProperties", u64::max).unwrap_or(0);
    fewest > u64::try_from(made.len()).unwrap_or(u64::MAX)
}
