//! The suite as it stands in a results file, and a suite with the amounts of such a file.

use serde_json::json;

use super::{MOST_CALLS, warm_up};
use crate::{
    results::{ScenarioRecord, SuiteRecord},
    suite::{Suite, SuiteSize, hash::short_hash},
};

impl SuiteSize {
    /// The word used in the configuration and in results files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Standard => "standard",
            Self::Deep => "deep",
        }
    }
}

impl Suite {
    /// The declared set, as it stands in a results file. Its hash covers the definitions, not the
    /// numbers of calls: a suite cut to fit a slower machine is still the same suite.
    #[must_use]
    pub fn record(&self) -> SuiteRecord {
        let scenarios: Vec<ScenarioRecord> = self
            .scenarios
            .iter()
            .chain(&self.soaks)
            .map(|scenario| &scenario.record)
            .chain(self.loads.iter().map(|load| &load.record))
            .cloned()
            .collect();
        let definitions: Vec<_> = scenarios
            .iter()
            .map(|record| json!([record.name, record.definition_hash]))
            .collect();
        SuiteRecord {
            name: self.size.name().to_owned(),
            hash: short_hash(&json!(definitions)),
            scenarios,
            skipped: self.skipped.clone(),
        }
    }

    /// Takes the numbers of calls from a baseline, for every scenario of the same name and
    /// definition, so that a comparison measures what the baseline measured.
    pub fn with_counts_of(&mut self, baseline: &SuiteRecord) {
        for scenario in self.scenarios.iter_mut().chain(&mut self.soaks) {
            let record = &mut scenario.record;
            let Some(before) = baseline
                .scenarios
                .iter()
                .find(|b| b.name == record.name && b.definition_hash == record.definition_hash)
            else {
                continue;
            };
            let calls = before.calls.clamp(1, MOST_CALLS);
            if calls == record.calls {
                continue;
            }
            record.calls = calls;
            scenario.warm_up = warm_up(
                record.kind,
                record.calls,
                record.concurrency,
                record.report_only,
            );
            // The amounts are the baseline's now, and so is what is said about them.
            let name = &record.name;
            self.skipped.retain(|skipped| skipped.name != *name);
            self.skipped
                .extend(baseline.skipped.iter().filter(|b| b.name == *name).cloned());
        }
    }
}
