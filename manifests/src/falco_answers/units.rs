//! What systemd says of Falco's unit.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The service that a process belongs to, from the text of its `/proc/PID/cgroup` (cgroups(7)): the last part of its path in
/// systemd's own hierarchy. A process deeper inside a service, e.g. in a container, does not belong to it.
#[must_use]
pub fn service_of(cgroup: &str) -> Option<&str> {
    let path = |line: &'static str| cgroup.lines().find_map(|text| text.strip_prefix(line));
    let named = || cgroup.lines().find_map(|line| line.split_once(":name=systemd:").map(|(_, path)| path));
    let last = path("0::").filter(|path| *path != "/").or_else(named)?.rsplit('/').next()?;
    last.ends_with(".service").then_some(last)
}

/// The arguments after the program in what `systemctl show --property=ExecStart --value` prints:
/// `{ path=/usr/bin/falco ; argv[]=/usr/bin/falco -o engine.kind=kmod ; ignore_errors=no ; … }`. An argument with a blank in it
/// cannot be told from two. `None` where there is no command.
#[must_use]
pub fn exec_start_arguments(text: &str) -> Option<Vec<String>> {
    let (_, rest) = text.split_once("argv[]=")?;
    let (words, _) = rest.split_once(" ; ")?;
    Some(words.split_whitespace().skip(1).map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_of_a_process() {
        for (cgroup, service) in [
            ("0::/system.slice/falco-modern-bpf.service\n", Some("falco-modern-bpf.service")),
            (
                "12:pids:/system.slice/falco.service\n1:name=systemd:/system.slice/falco-kmod.service\n0::/\n",
                Some("falco-kmod.service"),
            ),
            ("0::/system.slice/k3s.service/kubepods/burstable/pod1/abc\n", None),
            ("0::/kubepods.slice/cri-containerd-abc.scope\n", None),
            ("0::/user.slice/user-0.slice/session-1.scope\n", None),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(service_of(cgroup), service, "{cgroup}");
        }
    }

    #[test]
    fn the_arguments_of_a_unit() {
        let shown = "{ path=/usr/bin/falco ; argv[]=/usr/bin/falco -o engine.kind=modern_ebpf ; ignore_errors=no ; start_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }\n";
        assert_eq!(exec_start_arguments(shown).unwrap(), ["-o", "engine.kind=modern_ebpf"]);
        assert_eq!(exec_start_arguments("{ path=/usr/bin/falco ; argv[]=/usr/bin/falco ; x }").unwrap(), [""; 0]);
        assert_eq!(exec_start_arguments("\n"), None);
    }
}
