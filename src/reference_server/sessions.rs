//! The sessions of the legacy protocol over HTTP.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
};

use http::StatusCode;

use super::{
    message::Version,
    reply::{Reply, refuse},
};

/// Sessions kept; the oldest is forgotten first.
const MAX_SESSIONS: usize = 100_000;

/// The open sessions. Ids cannot be guessed: they are keyed by what the system gave at start.
#[derive(Default)]
pub(crate) struct Sessions {
    versions: HashMap<String, (Version, Vec<u8>)>,
    /// Oldest first; ids that were closed stay until their turn comes.
    order: VecDeque<String>,
    keys: (RandomState, RandomState),
    opened: u64,
}

impl Sessions {
    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.versions.len()
    }

    /// `held`: what the session holds until it is ended.
    pub(crate) fn open(&mut self, version: Version, held: Vec<u8>) -> String {
        self.opened += 1;
        let (low, high) = (
            self.keys.0.hash_one(self.opened),
            self.keys.1.hash_one(self.opened),
        );
        let bits = (u128::from(high) << 64) | u128::from(low);
        let id = uuid::Builder::from_random_bytes(bits.to_be_bytes())
            .into_uuid()
            .to_string();
        if self.order.len() >= MAX_SESSIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.versions.remove(&oldest);
        }
        self.order.push_back(id.clone());
        self.versions.insert(id.clone(), (version, held));
        id
    }

    pub(crate) fn version(&self, id: &str) -> Option<Version> {
        self.versions.get(id).map(|(version, _)| *version)
    }

    pub(crate) fn remove(&mut self, id: &str) -> bool {
        self.versions.remove(id).is_some()
    }
}

/// Why a request belongs to no session.
pub(crate) enum NoSession {
    Missing,
    Unknown,
    /// The header names another version than this one, which was agreed on.
    OtherVersion(Version),
}

impl NoSession {
    pub(crate) fn reply(self) -> Reply {
        match self {
            Self::Missing => refuse(
                StatusCode::BAD_REQUEST,
                "the header Mcp-Session-Id is missing: send `initialize` first",
            ),
            Self::Unknown => refuse(
                StatusCode::NOT_FOUND,
                "there is no such session: send `initialize` again",
            ),
            Self::OtherVersion(version) => refuse(
                StatusCode::BAD_REQUEST,
                &format!(
                    "the header MCP-Protocol-Version must be {}, as agreed",
                    version.as_str()
                ),
            ),
        }
    }
}
