//! `[probes]`.

use super::reader::Table;
use crate::{
    results::ProbeName,
    suite::probes::{ProbesConfig, When},
};

pub(super) fn read(mut table: Table<'_, '_>) -> ProbesConfig {
    let mut config = ProbesConfig::default();
    for name in ProbeName::ALL {
        let entry = table.get(name.name());
        let when = entry.and_then(|entry| {
            entry.choice(&[
                ("on", When::On),
                ("nightly", When::Nightly),
                ("off", When::Off),
            ])
        });
        config.0.extend(when.map(|when| (name, when)));
    }
    table.finish(&[]);
    config
}
