//! Protocol revisions and the two eras.

use std::fmt;

/// Every revision that mcpgate speaks, oldest first.
pub const REVISIONS: [&str; 5] = [
    "2024-11-05",
    "2025-03-26",
    "2025-06-18",
    "2025-11-25",
    MODERN,
];

/// The stateless revision.
pub const MODERN: &str = "2026-07-28";

/// The newest revision with `initialize` and sessions; what is offered in that era.
pub const NEWEST_LEGACY: &str = "2025-11-25";

/// The two eras of the protocol, in the specification's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2025-11-25 and before: `initialize`, sessions.
    Legacy,
    /// 2026-07-28: `server/discover`, `_meta` in each request, no sessions.
    Modern,
}

/// One of [`REVISIONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(&'static str);

impl Revision {
    /// The newest stateless revision.
    pub const MODERN: Self = Self(MODERN);
    /// The newest revision with sessions.
    pub const NEWEST_LEGACY: Self = Self(NEWEST_LEGACY);

    /// Looks a name up in [`REVISIONS`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        REVISIONS.into_iter().find(|known| *known == name).map(Self)
    }

    /// Such as `2025-11-25`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The era it belongs to.
    #[must_use]
    pub fn era(self) -> Era {
        if self.0 == MODERN {
            Era::Modern
        } else {
            Era::Legacy
        }
    }

    /// Whether HTTP requests after the handshake carry `MCP-Protocol-Version` (since 2025-06-18).
    #[must_use]
    pub fn has_version_header(self) -> bool {
        self.0 >= "2025-06-18"
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
