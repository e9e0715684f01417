//! A drift report with its signature in it, for places that keep nothing but its text.
//!
//! The signature stands below the report, as comments of TOML: whoever reads the report need not know of it.

use alloc::format;
use alloc::string::String;

/// What the signature is for, so that one of something else is not taken for it (OpenSSH, PROTOCOL.sshsig, "namespace").
pub const NAMESPACE: &str = "falconer-report";

const FIRST: &str = "# -----BEGIN SSH SIGNATURE-----";
const LAST: &str = "# -----END SSH SIGNATURE-----";

/// The report with the signature of its `text`, which is in OpenSSH's armour.
#[must_use]
pub fn with_signature(text: &str, armour: &str) -> String {
    let lines = armour.lines().map(|line| format!("# {line}\n"));
    core::iter::once(String::from(text)).chain(lines).collect()
}

/// The report without its signature, and the signature in OpenSSH's armour where there is one.
#[must_use]
pub fn without_signature(text: &str) -> (&str, Option<String>) {
    let signed = || {
        let (before, _) = text.rsplit_once(FIRST)?;
        let signature = text.get(before.len()..)?;
        let is_at_line = before.is_empty() || before.ends_with('\n');
        // Nothing but the signature may follow, or there would be words in the report that nobody has signed.
        let is_whole = signature.trim_end().ends_with(LAST) && signature.matches(LAST).count() == 1;
        let lines = signature.lines().map(|line| line.strip_prefix("# ").map(|line| format!("{line}\n")));
        let armour = lines.collect::<Option<String>>()?;
        (is_at_line && is_whole).then_some((before, armour))
    };
    signed().map_or((text, None), |(before, armour)| (before, Some(armour)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARMOUR: &str = "-----BEGIN SSH SIGNATURE-----\nU1NI\nU0lH\n-----END SSH SIGNATURE-----\n";

    #[test]
    fn what_is_put_together_comes_apart() {
        for text in ["", "host = \"a\"\n", "a = 1\n# -----BEGIN SSH SIGNATURE-----\n"] {
            let whole = with_signature(text, ARMOUR);
            assert_eq!(without_signature(&whole), (text, Some(ARMOUR.into())));
        }
        let twice = with_signature(&with_signature("a = 1\n", ARMOUR), ARMOUR);
        assert_eq!(without_signature(&twice).0, with_signature("a = 1\n", ARMOUR));
    }

    #[test]
    fn what_is_no_signature_stays_in_the_report() {
        let whole = with_signature("a = 1\n", ARMOUR);
        for text in [
            "a = 1\n".into(),
            format!("{whole}b = 2\n"),
            format!("{whole}# b\n"),
            whole.replace("# U1NI", "U1NI"),
            whole.replace("a = 1\n", "a = 1 "),
            whole.replace(LAST, "# "),
        ] {
            assert_eq!(without_signature(&text), (&*text, None), "{text}");
        }
    }
}
