use proptest::prelude::*;

use super::*;

const WANTED: &str = "1111111111111111111111111111111111111111";
const HAVE: &str = "2222222222222222222222222222222222222222";

fn request(is_v2: bool, words: &[&str]) -> Result<String, &'static str> {
    let (wanted, have) = (Revision::parse(WANTED).unwrap(), Revision::parse(HAVE).unwrap());
    let ask =
        Ask { wanted: &wanted, have: Some(&have), shallow: std::slice::from_ref(&have), deepen: Some(3), done: true };
    let capabilities = Capabilities::of(words);
    ask.request(is_v2, &capabilities, 9).map(|bytes| String::from_utf8(bytes).unwrap().replace('\n', "|"))
}

#[test]
fn requests_name_only_what_the_server_offers() {
    let full = format!(
        "0012command=fetch|0014agent=falconer/{}|0017object-format=sha1|00010010no-progress|000eofs-delta|\
         0032want {WANTED}|0035shallow {HAVE}|000ddeepen 3|0019filter blob:limit=10|0032have {HAVE}|0009done|0000",
        env!("CARGO_PKG_VERSION")
    );
    let words = ["agent=git/2", "object-format=sha1", "fetch=shallow wait-for-done filter"];
    let agent = format!("{:04x}agent=", "agent=falconer/|".len() + 4 + env!("CARGO_PKG_VERSION").len());
    assert_eq!(request(true, &words).unwrap(), full.replace("0014agent=", &agent));
    let plain = request(true, &["fetch=shallow"]).unwrap();
    assert!(!plain.contains("filter") && !plain.contains("agent") && plain.contains("deepen 3"), "{plain}");
    assert!(request(true, &["fetch"]).is_err(), "a shallow clone cannot go on without its server's help");
    assert!(request(true, &["ls-refs"]).is_err());

    let old = request(false, &["multi_ack_detailed", "side-band-64k", "shallow"]).unwrap();
    assert!(old.contains(&format!("want {WANTED} multi_ack_detailed side-band-64k agent=")), "{old}");
    assert!(old.ends_with(&format!("000ddeepen 3|00000032have {HAVE}|0009done|")), "{old}");
    assert!(request(false, &["multi_ack_detailed", "shallow"]).is_err());
}

/// Feeds an answer; gives back the pack and the end.
fn answer(is_v2: bool, done: bool, no_done: bool, packets: &[Packet]) -> Result<(Vec<u8>, Option<Reply>), String> {
    let mut answer = Answer { is_v2, done, ready: false, no_done, section: Section::None };
    let mut pack = Vec::new();
    for packet in packets {
        match answer.take(packet)? {
            Step::More => {}
            Step::Pack(piece) => pack.extend_from_slice(piece),
            Step::Failed(message) => return Err(message),
            Step::End(reply) => return Ok((pack, Some(reply))),
        }
    }
    Ok((pack, None))
}

fn line(text: &str) -> Packet {
    Packet::Data(text.as_bytes().to_vec())
}

#[test]
fn answers_end_with_or_without_a_pack() {
    use Packet::{Delimiter, Flush};
    let v2 = |packets: &[Packet]| answer(true, false, false, packets);
    let pack = (b"PACK".to_vec(), Some(Reply::Taken));
    let tail = [line("packfile\n"), line("\x02progress"), line("\x01PA"), line("\x01CK"), Flush];
    let ready = [line("acknowledgments\n"), line(&format!("ACK {HAVE}\n")), line("ready\n"), Delimiter];
    assert_eq!(v2(&[&ready[..], &tail].concat()), Ok(pack.clone()));
    let shallow = [line("shallow-info\n"), line(&format!("shallow {WANTED}\n")), Delimiter];
    assert_eq!(v2(&[&shallow[..], &tail].concat()), Ok(pack.clone()));
    assert_eq!(v2(&[line("acknowledgments\n"), line("NAK\n"), Flush]), Ok((vec![], Some(Reply::NotReady))));
    assert_eq!(v2(&[line("packfile\n"), line("\x03out of luck")]), Err("out of luck".to_owned()));
    assert!(v2(&[line("nonsense\n")]).is_err());

    let acks = [line(&format!("ACK {HAVE} common\n")), line(&format!("ACK {HAVE} ready\n")), line("NAK\n")];
    assert_eq!(answer(false, false, false, &acks), Ok((vec![], Some(Reply::Ready))));
    assert_eq!(answer(false, false, false, &acks[2..]), Ok((vec![], Some(Reply::NotReady))));
    let tail = [line(&format!("ACK {HAVE}\n")), line("\x01PACK"), Flush];
    assert_eq!(answer(false, false, true, &[&acks[..], &tail].concat()), Ok(pack.clone()));
    let deepened = [line(&format!("shallow {WANTED}\n")), Flush, line("NAK\n")];
    assert_eq!(answer(false, true, false, &[&deepened[..], &tail].concat()), Ok(pack));
}

proptest! {
    #[test]
    fn any_answer_is_no_panic(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..6), is_v2: bool, done: bool) {
        let packets: Vec<_> = lines.into_iter().map(Packet::Data).collect();
        let _ = answer(is_v2, done, true, &packets);
    }
}
