//! What both transports share: the rules, the tools, the faults, and how one call runs.

use std::{io::Write as _, sync::OnceLock, time::Duration};

use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use super::{
    Options,
    faults::Fault,
    lasting::{Lasting, Stop},
    plan::{Answer, CallPlan, Mix, Plan},
    protocol::{Call, Outcome, Rules},
    reply::encode,
    threads::{self, Background},
    tools::Work,
    work::{Toolbox, text_of},
};

/// The server behind a transport.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) rules: Rules,
    pub(crate) plan: Plan,
    pub(crate) sse: bool,
    pub(crate) lasting: Lasting,
    tools: Toolbox,
    thaw: OnceLock<Instant>,
    exit: watch::Sender<Option<u8>>,
    _background: Background,
}

impl Server {
    pub(crate) fn new(options: &Options) -> Self {
        let plan = Plan::new(options.fault.clone(), options.seed);
        Self {
            rules: Rules::new(options.era, options.page_size, options.store),
            lasting: Lasting::new(&options.fault),
            _background: Background::start(plan.background()),
            plan,
            sse: options.sse,
            tools: Toolbox::default(),
            thaw: OnceLock::new(),
            exit: watch::Sender::new(None),
        }
    }

    /// Resolves when a fault ends the process, with its exit code.
    pub(crate) async fn exit_code(&self) -> u8 {
        let mut exit = self.exit.subscribe();
        match exit.wait_for(Option::is_some).await.map(|code| *code) {
            Ok(Some(code)) => code,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Whether requests that open a conversation are left without an answer.
    pub(crate) fn hangs_on_opening(&self) -> bool {
        self.plan.has(&Fault::HangOnInitialize)
    }

    /// Runs one call. `None`: it must never be answered.
    pub(crate) async fn run(&self, mut call: Call, plan: &CallPlan) -> Option<Value> {
        let going = match self.lasting.begin().await {
            Ok(going) => going,
            Err(Stop::Refused(words)) => return Some(call.answer(Outcome::ToolError(words))),
            Err(Stop::Never) => return None,
        };
        flood_stderr(plan.stderr_bytes);
        self.plan.keep(plan.leak_bytes);
        if plan.delay > Duration::ZERO {
            tokio::time::sleep(plan.delay).await;
        }
        if let Some(lasting) = plan.frozen {
            let thaw = self.thaw.get_or_init(|| Instant::now() + lasting);
            tokio::time::sleep_until(*thaw).await;
        }
        threads::fan_out(plan.fan_out).await;
        threads::lock_fight(plan.lock_fight).await;
        let outcome = match plan.answer {
            Answer::Hang => return None,
            Answer::Exit(code) => {
                complain(&format!("leaving with code {code}, as told by a fault"));
                self.exit.send_replace(Some(code));
                return None;
            }
            Answer::RpcError => Outcome::RpcError("failed, as told by a fault".to_owned()),
            Answer::ToolError => Outcome::ToolError("failed, as told by a fault".to_owned()),
            Answer::Huge(bytes) => Outcome::Text(text_of(bytes)),
            Answer::InputRequired if call.version.is_modern() && !call.is_retry => {
                Outcome::InputRequired
            }
            // A status is answered before the call runs, and only over HTTP.
            Answer::HttpStatus(_) | Answer::InputRequired | Answer::Tool => {
                match std::mem::replace(&mut call.work, Err(String::new())) {
                    Ok(work) => Outcome::Text(self.perform(work, plan).await),
                    Err(problem) => Outcome::ToolError(problem),
                }
            }
        };
        if plan.wrong_id {
            call.id = another_id(&call.id);
        }
        let answer = call.answer(outcome);
        if self.lasting.weighs_answers() && !self.lasting.before_answer(encode(&answer).len()).await
        {
            return None;
        }
        going.done();
        Some(answer)
    }

    async fn perform(&self, work: Work, plan: &CallPlan) -> String {
        let work = match (work, plan.mix) {
            (Work::Remember { item }, _) => {
                self.lasting.remember(item).await;
                return "remembered".to_owned();
            }
            (Work::Recall, _) => return self.lasting.recall(),
            (Work::Echo { message }, Mix::InFlight) => Work::Echo {
                message: self.tools.swapped(message).await,
            },
            (Work::Echo { message }, Mix::Previous) => Work::Echo {
                message: self.tools.one_behind(message),
            },
            (work, _) => work,
        };
        self.tools.perform(work, plan.factor).await
    }
}

/// Writes one line to stderr. Where nobody reads it, there is nobody to tell.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "mcpgate reference-server: {line}");
}

fn flood_stderr(bytes: u64) {
    const LINE: &str = "flood flood flood flood flood flood flood flood flood flood flood flood\n";
    if bytes == 0 {
        return;
    }
    let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
    // A pipe that nobody reads stops this call here: that is the fault.
    let mut stderr = std::io::stderr().lock();
    while left > 0 {
        let part = LINE.get(..left).unwrap_or(LINE);
        if stderr.write_all(part.as_bytes()).is_err() {
            return;
        }
        left -= part.len();
    }
}

/// An id that nobody asked with.
fn another_id(id: &Value) -> Value {
    match (id.as_u64(), id.as_str()) {
        (Some(number), _) => json!(number.wrapping_add(1_000_000)),
        (None, Some(text)) => json!(format!("{text}-wrong")),
        (None, None) => json!(1_000_000),
    }
}
