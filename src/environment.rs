//! What machine this is, and the few facts that a run takes from its surroundings.
#![expect(
    clippy::disallowed_methods,
    reason = "reads the environment, the clock and the system's description of itself"
)]

use std::{
    io::Read as _,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{mcp::http_target::loopback, process::output::printable, results::Environment};

mod limits;

use limits::Limits;

/// Most that is read of a file that describes the system.
const MOST_BYTES: u64 = 1 << 20;

/// The host of `url`, if the environment sets a proxy for connections to it.
#[must_use]
pub fn behind_proxy(url: &str) -> Option<String> {
    // Any port does to tell the host.
    let uri: http::Uri = url.replace("{port}", "1").parse().ok()?;
    let host = uri.host()?;
    let proxy = ureq::Proxy::try_from_env()?;
    let is_direct = loopback(host).is_some() || proxy.is_no_proxy(&uri);
    (!is_direct).then(|| host.to_owned())
}

/// Describes this machine for the results file.
#[must_use]
pub fn describe() -> Environment {
    let limits = Limits::of_this_process();
    Environment {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        cpu_model: system::cpu_model(),
        cores: cores(),
        memory_bytes: system::memory_bytes(),
        kernel: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        runner_image: runner_image(|name| std::env::var(name).ok()),
        container_memory_limit_bytes: limits.memory_bytes,
        container_cpu_limit_millicores: limits.cpu_millicores,
    }
}

/// How the system chooses the clock speed of the first core (`performance`, `powersave`, …); `None`
/// where it does not tell, as in most virtual machines.
#[must_use]
pub fn cpu_governor() -> Option<String> {
    let governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")?;
    Some(printable(governor.trim())).filter(|governor| !governor.is_empty())
}

/// Whether the system tells the share of each process in memory that several use (PSS).
#[must_use]
pub fn tells_shared_memory() -> bool {
    read("/proc/self/smaps_rollup").is_some_and(|text| text.contains("Pss:"))
}

/// Cores that this process may use.
fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1))
}

/// GitHub's hosted runners name their image and its version.
fn runner_image(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let image = variable("ImageOS").filter(|image| !image.is_empty())?;
    let version = variable("ImageVersion").unwrap_or_default();
    Some(printable(format!("{image} {version}").trim_end()))
}

/// A TCP port of the loopback interface that nobody listens on at this moment.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// A variable of the environment; `None` if it is not set or not Unicode.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether a terminal is likely to show more than ASCII: it is not a dumb one, and the locale's
/// characters are UTF-8 (POSIX: the first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set decides).
#[must_use]
pub fn terminal_shows_unicode() -> bool {
    shows_unicode(variable)
}

fn shows_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    if variable("TERM").as_deref() == Some("dumb") {
        return false;
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    let locale = locale.unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// All variables of the environment that are Unicode.
#[must_use]
pub fn variables() -> Vec<(String, String)> {
    let all = std::env::vars_os();
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Where the user's programs keep what they can make again; `None` where there is no home.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    let named = variable("XDG_CACHE_HOME").map(PathBuf::from);
    named.filter(|path| path.is_absolute()).or_else(|| {
        let usual = if cfg!(target_os = "macos") {
            "Library/Caches"
        } else {
            ".cache"
        };
        std::env::home_dir()
            .filter(|home| home.is_absolute())
            .map(|home| home.join(usual))
    })
}

/// A text that nobody could have known before.
#[must_use]
pub fn nonce() -> String {
    let mut bytes = [0; 16];
    // Fails only where a system has no source of randomness at all; the clock is no secret, but
    // whoever wrote the texts that are to be told apart did so earlier.
    if rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).is_err() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        bytes = now.unwrap_or_default().as_nanos().to_le_bytes();
    }
    format!("{:032x}", u128::from_le_bytes(bytes))
}

/// A number below 10^9 that another run is not likely to draw.
#[must_use]
pub fn random_number() -> u32 {
    let drawn = nonce()
        .get(..8)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    drawn.unwrap_or_default() % 1_000_000_000
}

/// The path of the running program, for starting it again.
///
/// # Errors
/// When the system does not tell, or the path is not Unicode.
pub fn this_program() -> std::io::Result<String> {
    std::env::current_exe()?
        .into_os_string()
        .into_string()
        .map_err(|_| std::io::Error::other("its path is not Unicode"))
}

/// This moment as RFC 3339 in UTC, to the second.
#[must_use]
pub fn now_rfc3339() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Seconds since 1970.
#[must_use]
pub fn unix_time_s() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// This day in UTC, `YYYY-MM-DD`.
#[must_use]
pub fn today() -> String {
    now_rfc3339().chars().take(10).collect()
}

/// Whole days since a time in RFC 3339; 0 for one to come, `None` for what is no time.
#[must_use]
pub fn days_since(time: &str) -> Option<u64> {
    let then = humantime::parse_rfc3339(time).ok()?;
    let since = SystemTime::now().duration_since(then).unwrap_or_default();
    Some(since.as_secs() / 86_400)
}

/// The day in UTC after so many, `YYYY-MM-DD`.
#[must_use]
pub fn day_in(days: u64) -> String {
    let then = SystemTime::now() + Duration::from_secs(days.saturating_mul(86_400));
    let text = humantime::format_rfc3339_seconds(then).to_string();
    text.chars().take(10).collect()
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    let mut text = String::new();
    std::fs::File::open(path)
        .ok()?
        .take(MOST_BYTES)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}

#[cfg(target_os = "linux")]
mod system {
    use procfs::Current as _;

    use crate::process::output::printable;

    /// The model's name; on ARM, which has none here, implementer and part.
    pub(super) fn cpu_model() -> String {
        let Ok(info) = procfs::CpuInfo::current() else {
            return String::new();
        };
        let field = |name| info.get_field(0, name);
        let arm = || {
            let implementer = field("CPU implementer")?;
            Some(format!("ARM {implementer}/{}", field("CPU part")?))
        };
        let model = field("model name")
            .map(str::to_owned)
            .or_else(arm)
            .unwrap_or_default();
        printable(
            model
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .as_str(),
        )
    }

    pub(super) fn memory_bytes() -> u64 {
        procfs::Meminfo::current().map_or(0, |info| info.mem_total)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) use crate::process::{cpu_model, machine_memory_bytes as memory_bytes};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unicode_is_shown_where_the_locale_says_utf_8() {
        let table: [(&[(&str, &str)], bool); 6] = [
            (&[("LANG", "de_DE.UTF-8")], true),
            (&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")], true),
            (&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")], false),
            (&[("LANG", "C.UTF-8"), ("TERM", "dumb")], false),
            (&[("LANG", "ja_JP.eucJP")], false),
            (&[], false),
        ];
        for (set, expected) in table {
            let variable = |name: &str| {
                let found = set.iter().find(|(of, _)| *of == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(shows_unicode(variable), expected, "{set:?}");
        }
    }

    #[test]
    fn this_machine_is_described() {
        let environment = describe();
        assert_eq!(environment.os, std::env::consts::OS);
        assert!(environment.cores >= 1);
        assert!(environment.memory_bytes > 100 << 20, "{environment:?}");
        assert!(!environment.kernel.is_empty());
        assert!(environment.same_hardware(&describe()));
    }

    #[test]
    fn the_image_of_a_hosted_runner_is_named() {
        let with = |os: Option<&str>, version: Option<&str>| {
            runner_image(|name| match name {
                "ImageOS" => os.map(str::to_owned),
                "ImageVersion" => version.map(str::to_owned),
                _ => None,
            })
        };
        assert_eq!(with(None, Some("1")), None);
        assert_eq!(with(Some(""), None), None);
        assert_eq!(with(Some("ubuntu24"), None).as_deref(), Some("ubuntu24"));
        assert_eq!(
            with(Some("ubuntu24"), Some("20261101.1\u{1b}")).as_deref(),
            Some("ubuntu24 20261101.1\\u{1b}")
        );
    }

    #[test]
    fn a_free_port_can_be_listened_on() {
        let port = free_port().unwrap();
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    }

    #[test]
    fn now_is_a_time_in_utc() {
        let now = now_rfc3339();
        assert!(humantime::parse_rfc3339(&now).is_ok(), "{now}");
        assert!(now.ends_with('Z') && now.len() == 20, "{now}");
    }
}
