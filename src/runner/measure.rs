//! The repeating scenarios: from a ready server to samples.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use super::{
    call::CompiledCall,
    collector::Collector,
    failure::RunFailure,
    observer::{CallWatch, Observer},
    slowdown::{self, Slowdown},
    target::RunningServer,
};
use crate::mcp::{
    Limits,
    client::{self, Client, Endpoint, Exchange, Prepared, Wanted},
    message,
    outcome::{CallError, ErrorKind},
    revision::Revision,
};
use crate::process::{Reading, own_cpu_ns};
use crate::results::{Sessions, TIMEOUTS_IN_A_ROW};

/// Answers of concurrent calls that are kept to be checked after the load: checking one on the
/// measuring thread would delay the time stamps of the others.
const UNCHECKED_BYTES: usize = 16 << 20;

/// What is needed to make calls to one server.
pub struct Bench {
    /// The server.
    pub server: RunningServer,
    /// Its first client.
    pub client: Client,
    /// The negotiated revision.
    pub revision: Revision,
    /// Bounds on each call.
    pub limits: Limits,
    /// Scheduler readings.
    pub observer: Observer,
    /// By what factor answers to calls that are made one at a time are held back.
    pub slowed_by: Option<f64>,
}

impl Bench {
    /// `collector`, unless the last error means that the server is lost and not only that call.
    async fn unless_lost(
        &mut self,
        collector: Collector,
        last_error: Option<CallError>,
    ) -> Result<Collector, RunFailure> {
        let Some(error) = last_error else {
            return Ok(collector);
        };
        let down = self.client.down();
        let is_lost = down.is_some()
            || error.kind == ErrorKind::Refused
            || (may_be_a_loss(&error) && self.server.exits_at_once().await);
        if !is_lost {
            return Ok(collector);
        }
        let seen = down.unwrap_or(error);
        Err(self.server.explain_loss(RunFailure::lost(&seen)).await)
    }

    /// Says so if the server has ended, though no call showed it.
    ///
    /// # Errors
    /// When it has.
    pub async fn still_runs(&mut self) -> Result<(), RunFailure> {
        if !self.server.has_exited() {
            return Ok(());
        }
        let seen = CallError::new(ErrorKind::Closed, "its process ended");
        Err(self.server.explain_loss(RunFailure::lost(&seen)).await)
    }

    /// Fresh sessions, one after another: connection and handshake together.
    ///
    /// # Errors
    /// When the server is lost.
    pub async fn handshake(&mut self, calls: u32) -> Result<Collector, RunFailure> {
        let mut collector = Collector::default();
        let wanted = self.wanted();
        let slowdown = Slowdown::by(self.slowed_by);
        let cpu_before = self.observer.cpu_ns();
        let mut watch = CallWatch::new(&mut self.observer);
        let mut last_error = None;
        for _ in 0..calls {
            watch.before();
            let began = Instant::now();
            let opened = client::open(&self.server.endpoint, wanted, self.limits).await;
            let ended = Instant::now();
            watch.after();
            match opened {
                Ok(opened) => {
                    let wall = ended - began;
                    let held = slowdown.hold(watch.worked(wall)).await;
                    watch.keep(wall, held);
                    collector.success_lasting(began, ended + held);
                    opened.client.close().await;
                }
                Err(failed) => {
                    collector.failure(&failed.error, began, ended);
                    let is_lost = failed.error.kind == ErrorKind::Refused;
                    last_error = Some(failed.error);
                    if is_lost || collector.is_hopeless() {
                        break;
                    }
                }
            }
        }
        collector.adjusted(watch.finish());
        collector.server_cpu(cpu_before, self.observer.cpu_ns());
        self.unless_lost(collector, last_error).await
    }

    /// The first page of `tools/list`, one after another.
    ///
    /// # Errors
    /// When the server is lost.
    pub async fn list_tools(&mut self, calls: u32) -> Result<Collector, RunFailure> {
        self.one_at_a_time(
            calls,
            |client, _| (client.prepare_tool_page(None), None),
            |body, id, _| message::read_tool_page(body, id).map(|_| ()),
        )
        .await
    }

    /// Calls of one tool, one after another. `first` is the number of the first call.
    ///
    /// # Errors
    /// When the server is lost.
    pub async fn sequential(
        &mut self,
        call: &CompiledCall,
        first: u32,
        calls: u32,
    ) -> Result<Collector, RunFailure> {
        self.one_at_a_time(
            calls,
            |client, number| call.prepare(client, 0, first.saturating_add(number)),
            message::check_tool_answer,
        )
        .await
    }

    async fn one_at_a_time(
        &mut self,
        calls: u32,
        mut prepare: impl FnMut(&mut Client, u32) -> (Prepared, Option<String>),
        check: impl Fn(&[u8], u64, Option<&str>) -> Result<(), CallError>,
    ) -> Result<Collector, RunFailure> {
        let mut collector = Collector::default();
        let slowdown = Slowdown::by(self.slowed_by);
        let cpu_before = self.observer.cpu_ns();
        let mut watch = CallWatch::new(&mut self.observer);
        let mut last_error = None;
        for number in 0..calls {
            let (prepared, expected) = prepare(&mut self.client, number);
            let began = Instant::now();
            let answered = match self.client.make_ready().await {
                Ok(()) => {
                    watch.before();
                    let answered = self.client.send(&prepared).await;
                    watch.after();
                    answered
                }
                Err(error) => Err(error),
            };
            let checked = answered.and_then(|exchange| {
                check(&exchange.body, exchange.id, expected.as_deref()).map(|()| exchange)
            });
            match checked {
                Ok(mut exchange) => {
                    let held = slowdown.hold(watch.worked(exchange.wall())).await;
                    watch.keep(exchange.wall(), held);
                    slowdown::delay(&mut exchange, held);
                    collector.success(&exchange);
                    last_error = None;
                }
                Err(error) => {
                    collector.failure(&error, began, Instant::now());
                    let is_lost = self.client.down().is_some() || error.kind == ErrorKind::Refused;
                    last_error = Some(error);
                    if is_lost || collector.is_hopeless() {
                        break;
                    }
                }
            }
        }
        collector.adjusted(watch.finish());
        collector.strays(self.client.take_strays().await);
        collector.server_cpu(cpu_before, self.observer.cpu_ns());
        self.unless_lost(collector, last_error).await
    }

    /// Calls of one tool, `concurrency` in flight: shared iterations over as many virtual users.
    /// `first` is the number of the first call.
    ///
    /// Over HTTP each has its own connection, opened before the load starts, and its own session
    /// or not as [`Sessions`] says; over stdio they share the one pipe that there is.
    ///
    /// # Errors
    /// When the server is lost.
    pub async fn concurrent(
        &mut self,
        call: &Arc<CompiledCall>,
        first: u32,
        calls: u32,
        (concurrency, sessions): (u32, Sessions),
    ) -> Result<Collector, RunFailure> {
        let mut collector = Collector::default();
        let mut last_error = None;
        let mut clients = Vec::new();
        for _ in 0..concurrency {
            let began = Instant::now();
            match self.another_client(sessions).await {
                Ok(client) => clients.push(client),
                Err(error) => {
                    collector.failure(&error, began, Instant::now());
                    let is_lost = error.kind == ErrorKind::Refused;
                    last_error = Some(error);
                    if is_lost || collector.is_hopeless() {
                        break;
                    }
                }
            }
        }
        let shared = Arc::new(Load {
            call: Arc::clone(call),
            next: AtomicU32::new(first),
            end: first.saturating_add(calls),
            held: AtomicUsize::new(0),
        });
        let cpu_before = self.observer.cpu_ns();
        let client_cpu_before = own_cpu_ns();
        let mut users = JoinSet::new();
        for (vu, client) in (0_u32..).zip(clients) {
            users.spawn(virtual_user(Arc::clone(&shared), client, vu));
        }
        let mut ended = Vec::new();
        while let Some(finished) = users.join_next().await {
            let Ok(user) = finished else {
                return Err(RunFailure::Target(
                    "a virtual user ended unexpectedly; this is a defect of mcpgate".to_owned(),
                ));
            };
            ended.push(user);
        }
        collector.server_cpu(cpu_before, self.observer.cpu_ns());
        collector.client_cpu(own_cpu_ns().saturating_sub(client_cpu_before));
        let mut clients = Vec::new();
        for mut user in ended {
            for done in user.done {
                match done.checked() {
                    Ok(exchange) => collector.success(&exchange),
                    Err((error, began, ended)) => {
                        collector.failure(&error, began, ended);
                        // Not the last in time: the users come one after another.
                        if !last_error.as_ref().is_some_and(may_be_a_loss) {
                            last_error = Some(error);
                        }
                    }
                }
            }
            collector.strays(user.client.take_strays().await);
            clients.push(user.client);
        }
        collector.strays(self.client.take_strays().await);
        for client in clients {
            client.close().await;
        }
        self.unless_lost(collector, last_error).await
    }

    /// One more client, ready for its first call.
    pub(super) async fn another_client(&mut self, sessions: Sessions) -> Result<Client, CallError> {
        let is_piped = matches!(self.server.endpoint, Endpoint::Stdio(_));
        if (is_piped || sessions == Sessions::Shared)
            && let Some(mut client) = self.client.share()
        {
            client.make_ready().await?;
            return Ok(client);
        }
        let mut opened = client::open(&self.server.endpoint, self.wanted(), self.limits)
            .await
            .map_err(|failed| failed.error)?;
        opened.client.make_ready().await?;
        Ok(opened.client)
    }

    /// Cores that the server's process tree used or waited for since then (1 = one whole core); a thread
    /// that waits for a core is not idle.
    pub(super) fn cores_since(
        &mut self,
        (cpu_ns, schedule, began): (Option<u64>, Option<Reading>, Instant),
    ) -> Option<f64> {
        let lasted = began.elapsed();
        let waited_ns = self
            .observer
            .since(schedule.as_ref())
            .map_or(0, |delta| delta.server_wait_total_ns);
        let used_ns = self.observer.cpu_ns()?.saturating_sub(cpu_ns?);
        let busy = Duration::from_nanos(used_ns.saturating_add(waited_ns));
        Some(busy.div_duration_f64(lasted))
    }

    /// Whether all clients are in the one session that there is.
    pub(super) fn has_one_session_only(&self) -> bool {
        matches!(self.server.endpoint, Endpoint::Stdio(_))
    }

    /// All clients speak what was negotiated first.
    fn wanted(&self) -> Wanted {
        Wanted::Exactly(self.revision)
    }
}

fn may_be_a_loss(error: &CallError) -> bool {
    matches!(
        error.kind,
        ErrorKind::Refused | ErrorKind::Reset | ErrorKind::Closed
    )
}

struct Load {
    call: Arc<CompiledCall>,
    next: AtomicU32,
    end: u32,
    held: AtomicUsize,
}

/// A call that was made; its answer may still have to be checked.
enum Done {
    Unchecked {
        exchange: Exchange,
        expected: Option<String>,
    },
    Checked(Exchange),
    Failed {
        error: CallError,
        began: Instant,
        ended: Instant,
    },
}

impl Done {
    fn checked(self) -> Result<Exchange, (CallError, Instant, Instant)> {
        match self {
            Self::Checked(exchange) => Ok(exchange),
            Self::Failed {
                error,
                began,
                ended,
            } => Err((error, began, ended)),
            Self::Unchecked { exchange, expected } => {
                match message::check_tool_answer(&exchange.body, exchange.id, expected.as_deref()) {
                    Ok(()) => Ok(exchange),
                    Err(error) => Err((error, exchange.sent, exchange.last_byte)),
                }
            }
        }
    }
}

struct User {
    client: Client,
    done: Vec<Done>,
}

async fn virtual_user(load: Arc<Load>, mut client: Client, vu: u32) -> User {
    let mut done = Vec::new();
    let mut timeouts_in_a_row = 0;
    loop {
        let i = load.next.fetch_add(1, Ordering::Relaxed);
        if i >= load.end {
            break;
        }
        let (prepared, expected) = load.call.prepare(&mut client, vu, i);
        let began = Instant::now();
        let answered = match client.make_ready().await {
            Ok(()) => client.send(&prepared).await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(mut exchange) => {
                timeouts_in_a_row = 0;
                let held = load.held.fetch_add(exchange.body.len(), Ordering::Relaxed);
                let unchecked = Done::Unchecked {
                    expected,
                    exchange: exchange.clone(),
                };
                done.push(if held < UNCHECKED_BYTES {
                    unchecked
                } else {
                    match unchecked.checked() {
                        Ok(_) => {
                            exchange.body.clear();
                            Done::Checked(exchange)
                        }
                        Err((error, began, ended)) => Done::Failed {
                            error,
                            began,
                            ended,
                        },
                    }
                });
            }
            Err(error) => {
                let is_timeout = error.kind == ErrorKind::Timeout;
                timeouts_in_a_row = if is_timeout { timeouts_in_a_row + 1 } else { 0 };
                let is_over = client.down().is_some()
                    || error.kind == ErrorKind::Refused
                    || timeouts_in_a_row >= TIMEOUTS_IN_A_ROW;
                done.push(Done::Failed {
                    error,
                    began,
                    ended: Instant::now(),
                });
                if is_over {
                    break;
                }
            }
        }
    }
    User { client, done }
}
