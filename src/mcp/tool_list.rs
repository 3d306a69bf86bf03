//! The whole tool list, page by page.

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    client::{Client, Prepared},
    message,
    outcome::{CallError, ErrorKind},
    request,
};

/// Pages of `tools/list` that are followed.
const MOST_PAGES: usize = 1_000;
/// How many times as long as one call all pages together may take.
const LIST_TIMEOUTS: u32 = 4;
/// Tools that are taken from `tools/list`.
const MOST_TOOLS: usize = 10_000;

impl Client {
    /// Asks for one page of the tool list.
    #[must_use]
    pub fn prepare_tool_page(&mut self, cursor: Option<&str>) -> Prepared {
        let params = cursor.map_or_else(String::new, |cursor| {
            request::members(&json!({ "cursor": cursor }))
        });
        self.prepare("tools/list", params.as_bytes())
    }

    /// The whole tool list, all pages.
    ///
    /// # Errors
    /// Any [`ErrorKind`]; `malformed` for a list that does not end, `timeout` for one that takes
    /// longer than `LIST_TIMEOUTS` calls may.
    pub async fn list_tools(&mut self) -> Result<Vec<Value>, CallError> {
        let patience = self.limits.call_timeout * LIST_TIMEOUTS;
        timeout(patience, self.list_all_tools())
            .await
            .unwrap_or_else(|_| {
                Err(CallError::new(
                    ErrorKind::Timeout,
                    format!(
                        "the pages of tools/list did not end within {}",
                        humantime::format_duration(patience)
                    ),
                ))
            })
    }

    async fn list_all_tools(&mut self) -> Result<Vec<Value>, CallError> {
        let mut tools = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let prepared = self.prepare_tool_page(cursor.as_deref());
            let answer = self.send(&prepared).await?;
            let page = message::read_tool_page(&answer.body, prepared.id)?;
            tools.extend(page.tools);
            if tools.len() > MOST_TOOLS {
                break;
            }
            match page.next_cursor {
                None => return Ok(tools),
                Some(next) => cursor = Some(next),
            }
        }
        Err(CallError::new(
            ErrorKind::Malformed,
            format!("tools/list does not end: over {MOST_TOOLS} tools or {MOST_PAGES} pages"),
        ))
    }
}
