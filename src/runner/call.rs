//! A tool call made ready to be filled in many times.

use crate::{
    error::Error,
    mcp::{
        client::{Client, Prepared},
        param_headers::ParamHeaders,
    },
    suite::{
        ToolCall,
        template::{CallSeed, CompiledArguments, CompiledText},
    },
};

/// A scenario's tool call.
#[derive(Debug)]
pub struct CompiledCall {
    tool: String,
    arguments: CompiledArguments,
    expected: Option<CompiledText>,
    seed: CallSeed,
    mirrored: ParamHeaders,
}

impl CompiledCall {
    /// Compiles the call of `scenario`.
    ///
    /// # Errors
    /// For a template that is wrong; the configuration's own check reports it with its place.
    pub fn new(call: &ToolCall, seed: u64, scenario: &str) -> Result<Self, Error> {
        let wrong = |problem| Error::Usage(format!("tool `{}`: {problem}", call.name));
        Ok(Self {
            tool: call.name.clone(),
            arguments: CompiledArguments::new(&call.arguments, call.data.as_deref())
                .map_err(|e| wrong(e.to_string()))?,
            expected: call
                .expect
                .contains
                .as_deref()
                .map(|text| CompiledText::new(text, call.data.as_deref()))
                .transpose()
                .map_err(|e| wrong(e.to_string()))?,
            seed: CallSeed::new(seed, scenario),
            mirrored: ParamHeaders::default(),
        })
    }

    /// With the headers that the tool's server wants.
    #[must_use]
    pub fn mirroring(mut self, mirrored: ParamHeaders) -> Self {
        self.mirrored = mirrored;
        self
    }

    /// The tool's name.
    #[must_use]
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// The arguments of call number `i` of virtual user `vu`, as JSON.
    #[must_use]
    pub fn arguments(&self, vu: u32, i: u32) -> Vec<u8> {
        let mut arguments = Vec::new();
        self.arguments
            .render_json(self.seed.call(vu, u64::from(i)), &mut arguments);
        arguments
    }

    /// Call number `i` of virtual user `vu`, and the text that its answer must contain.
    #[must_use]
    pub fn prepare(&self, client: &mut Client, vu: u32, i: u32) -> (Prepared, Option<String>) {
        let context = self.seed.call(vu, u64::from(i));
        (
            client.prepare_call(&self.tool, &self.arguments(vu, i), &self.mirrored),
            self.expected
                .as_ref()
                .map(|expected| expected.render(context)),
        )
    }
}
