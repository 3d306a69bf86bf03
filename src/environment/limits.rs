//! What the container or control group of this process allows.

use std::path::{Path, PathBuf};

use super::read;

/// What a container or control group allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Memory.
    pub(super) memory_bytes: Option<u64>,
    /// CPU time in thousandths of a core.
    pub(super) cpu_millicores: Option<u32>,
}

impl Limits {
    /// The limits of this process; none where there are no control groups.
    pub(super) fn of_this_process() -> Self {
        read("/proc/self/cgroup")
            .map(|own| limits(Path::new("/sys/fs/cgroup"), &own))
            .unwrap_or_default()
    }
}

/// The tightest limits on the way from this process's control group to the root, in both versions
/// of control groups. `mount` is where they are mounted, `own` the text of `/proc/self/cgroup`.
fn limits(mount: &Path, own: &str) -> Limits {
    let mut limits = Limits::default();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let mounts: &[&str] = match controllers {
            "" => &["", "unified"],
            _ => &[controllers],
        };
        let is_v1 = |name: &str| controllers.split(',').any(|controller| controller == name);
        for group in mounts
            .iter()
            .flat_map(|mounted| groups(mount, mounted, path))
        {
            let file = |name: &str| read(group.join(name));
            let (memory, cpu) = if controllers.is_empty() {
                (file("memory.max"), file("cpu.max"))
            } else {
                let quota = || {
                    let quota = file("cpu.cfs_quota_us")?;
                    let period = file("cpu.cfs_period_us")?;
                    Some(format!("{} {}", quota.trim(), period.trim()))
                };
                (
                    is_v1("memory")
                        .then(|| file("memory.limit_in_bytes"))
                        .flatten(),
                    is_v1("cpu").then(quota).flatten(),
                )
            };
            limits.memory_bytes = tighter(
                limits.memory_bytes,
                memory.as_deref().and_then(memory_limit),
            );
            limits.cpu_millicores =
                tighter(limits.cpu_millicores, cpu.as_deref().and_then(cpu_limit));
        }
    }
    limits
}

/// Directories from a group up to the root of its hierarchy. In a container the path may be that
/// of the host and exist nowhere; the root, which is then the container's own, is left.
fn groups(mount: &Path, mounted: &str, path: &str) -> Vec<PathBuf> {
    let root = mount.join(mounted);
    let inner = Path::new(path.trim_start_matches('/'));
    if inner
        .components()
        .any(|part| !matches!(part, std::path::Component::Normal(_)))
    {
        // `/../..`: a group outside of what can be seen here.
        return vec![root];
    }
    inner.ancestors().map(|group| root.join(group)).collect()
}

fn tighter<T: Ord>(known: Option<T>, found: Option<T>) -> Option<T> {
    match (known, found) {
        (Some(known), Some(found)) => Some(known.min(found)),
        (known, found) => known.or(found),
    }
}

/// `max` means none; so does version 1's number near the largest one.
fn memory_limit(text: &str) -> Option<u64> {
    text.trim()
        .parse()
        .ok()
        .filter(|&bytes| bytes > 0 && bytes < 1 << 60)
}

/// `QUOTA PERIOD` in microseconds; `max` or a negative quota means none.
fn cpu_limit(text: &str) -> Option<u32> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.trim().parse().ok()?);
    u32::try_from(quota.checked_mul(1000)?.checked_div(period)?)
        .ok()
        .filter(|&millicores| millicores > 0)
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "makes control groups of plain files"
    )]

    use super::*;

    #[test]
    fn limits_are_the_tightest_on_the_way_up() {
        struct Case {
            what: &'static str,
            files: &'static [(&'static str, &'static str)],
            own: &'static str,
            memory_bytes: Option<u64>,
            cpu_millicores: Option<u32>,
        }
        let cases = [
            Case {
                what: "none",
                files: &[("memory.max", "max\n"), ("cpu.max", "max 100000\n")],
                own: "0::/\n",
                memory_bytes: None,
                cpu_millicores: None,
            },
            Case {
                what: "version 2, nested",
                files: &[
                    ("a/memory.max", "1000000\n"),
                    ("a/b/memory.max", "max\n"),
                    ("a/b/cpu.max", "150000 100000\n"),
                    ("a/cpu.max", "400000 100000\n"),
                ],
                own: "0::/a/b\n",
                memory_bytes: Some(1_000_000),
                cpu_millicores: Some(1500),
            },
            Case {
                what: "version 2 in a container that sees the host's path",
                files: &[("memory.max", "2000000"), ("cpu.max", "50000 100000")],
                own: "0::/system.slice/docker-abc.scope\n",
                memory_bytes: Some(2_000_000),
                cpu_millicores: Some(500),
            },
            Case {
                what: "a group outside of the namespace",
                files: &[("memory.max", "7")],
                own: "0::/../../other\n",
                memory_bytes: Some(7),
                cpu_millicores: None,
            },
            Case {
                what: "version 1",
                files: &[
                    ("memory/box/memory.limit_in_bytes", "3000000\n"),
                    ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                    ("cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
                    ("cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
                    ("cpu,cpuacct/box/cpu.cfs_quota_us", "200000\n"),
                    ("cpu,cpuacct/box/cpu.cfs_period_us", "100000\n"),
                ],
                own: "5:memory:/box\n4:cpu,cpuacct:/box\n0::/box\n",
                memory_bytes: Some(3_000_000),
                cpu_millicores: Some(2000),
            },
            Case {
                what: "garbage",
                files: &[
                    ("memory.max", "-4"),
                    ("cpu.max", "100000 0"),
                    ("a/cpu.max", "99999999999999999999 1"),
                    ("a/memory.max", "\u{0}"),
                ],
                own: "0::/a\nnonsense\n::\n",
                memory_bytes: None,
                cpu_millicores: None,
            },
        ];
        for case in cases {
            let mount = tempfile::tempdir().unwrap();
            for (path, text) in case.files {
                let path = mount.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            assert_eq!(
                limits(mount.path(), case.own),
                Limits {
                    memory_bytes: case.memory_bytes,
                    cpu_millicores: case.cpu_millicores,
                },
                "{}",
                case.what
            );
        }
    }
}
