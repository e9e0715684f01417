//! HTTP/1.1 on one connection, each request answered by `git http-backend` (RFC 3875) or by a fault.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Exchange, Fault, Shared, locked};

struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    length: u64,
}

struct Response {
    status: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Answers requests until the client hangs up.
pub(super) fn serve(mut stream: impl Read + Write, shared: &Shared) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer)? {
        if shared.is_over.load(Ordering::SeqCst) {
            return Ok(());
        }
        let fault = locked(&shared.fault).clone();
        let authorization = request.header("authorization").map(str::to_owned);
        let response = match &fault {
            Fault::Status(status, lines) => plain(&format!("{status} Fault"), lines),
            Fault::Html => plain("200 OK", "Content-Type: text/html"),
            _ if locked(&shared.password).as_ref().is_some_and(|demanded| Some(demanded) != authorization.as_ref()) => {
                plain("401 Unauthorized", "WWW-Authenticate: Basic realm=\"git\"")
            }
            // As GitHub does.
            _ if !request.header("user-agent").is_some_and(|agent| agent.starts_with("git/")) => {
                plain("404 Not Found", "")
            }
            _ => backend(&request, shared, fault == Fault::NoVersion2)?,
        };
        let bytes = response.wire(&fault);
        locked(&shared.exchanges).push(Exchange {
            request: format!("{} {}", request.method, request.target),
            authorization,
            received: request.length,
            sent: bytes.len() as u64,
        });
        if fault == Fault::Unanswered && request.target.ends_with("/git-receive-pack") {
            return Ok(());
        }
        write(&mut stream, &bytes, &fault, shared)?;
    }
    Ok(())
}

fn write(stream: &mut impl Write, bytes: &[u8], fault: &Fault, shared: &Shared) -> io::Result<()> {
    match fault {
        Fault::Stall | Fault::Drip => {
            let mut bytes = bytes.chunks(1);
            // The test ends this: by its deadline, then by its end.
            while !shared.is_over.load(Ordering::SeqCst) {
                if *fault == Fault::Drip {
                    stream.write_all(bytes.next().unwrap_or_default())?;
                    stream.flush()?;
                }
                std::thread::sleep(Duration::from_secs(1));
            }
            Ok(())
        }
        Fault::Endless => {
            stream.write_all(bytes)?;
            let line = format!("003a{} refs/heads/x\n", "1".repeat(40)).repeat(1000);
            while !shared.is_over.load(Ordering::SeqCst) {
                stream.write_all(line.as_bytes())?;
            }
            Ok(())
        }
        _ => {
            stream.write_all(bytes)?;
            stream.flush()?;
            if *fault == Fault::Truncate { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
        }
    }
}

fn read(stream: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if !more(stream, buffer)? {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(buffer.get(..head).unwrap_or_default()).into_owned();
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let whole = head + length.unwrap_or(0_usize);
    while buffer.len() < whole {
        if !more(stream, buffer)? {
            return Ok(None);
        }
    }
    let body = buffer.drain(..whole).skip(head).collect();
    Ok(Some(Request { method, target, headers, body, length: whole as u64 }))
}

fn more(stream: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut piece = [0; 16 * 1024];
    let length = stream.read(&mut piece)?;
    buffer.extend_from_slice(piece.get(..length).unwrap_or_default());
    Ok(length > 0)
}

fn backend(request: &Request, shared: &Shared, hide_version2: bool) -> io::Result<Response> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut command = Command::new("git");
    command.arg("http-backend").env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.envs(super::fixture::ENVIRONMENT);
    command.env("GIT_PROJECT_ROOT", &shared.root).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("REQUEST_METHOD", &request.method).env("PATH_INFO", path).env("QUERY_STRING", query);
    command.env("REMOTE_ADDR", "127.0.0.1").env("CONTENT_LENGTH", request.body.len().to_string());
    command.env("CONTENT_TYPE", request.header("content-type").unwrap_or_default());
    if let Some(protocol) = request.header("git-protocol").filter(|_| !hide_version2) {
        command.env("HTTP_GIT_PROTOCOL", protocol);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let body = request.body.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&body));
    let output = child.wait_with_output()?.stdout;
    let _hung_up = writer.join();
    let head = output.windows(4).position(|window| window == b"\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let (head, body) = output.split_at(head + 4);
    let mut response = Response { status: "200 OK".into(), headers: Vec::new(), body: body.to_vec() };
    for (name, value) in String::from_utf8_lossy(head).lines().filter_map(|line| line.split_once(": ")) {
        match name {
            "Status" => response.status = value.to_owned(),
            _ => response.headers.push((name.to_owned(), value.to_owned())),
        }
    }
    Ok(response)
}

fn plain(status: &str, lines: &str) -> Response {
    let headers = lines.lines().filter_map(|line| line.split_once(": "));
    Response {
        status: status.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: b"<html><title>Not Git</title></html>\n".to_vec(),
    }
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl Response {
    /// The bytes of the answer; faults of packs happen here.
    fn wire(mut self, fault: &Fault) -> Vec<u8> {
        let length = self.body.len();
        if let Some(pack) = self.body.windows(4).position(|window| window == b"PACK") {
            let middle = pack + (length - pack) / 2;
            match fault {
                Fault::Truncate => self.body.truncate(middle),
                Fault::Corrupt => self.body.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 0x10),
                _ => {}
            }
        }
        let mut wire = format!("HTTP/1.1 {}\r\n", self.status);
        if *fault == Fault::Endless {
            // Without the flush at its end.
            self.body.truncate(length.saturating_sub(4));
            wire.push_str("Connection: close\r\n");
        } else {
            wire.push_str(&format!("Content-Length: {length}\r\n"));
        }
        for (name, value) in &self.headers {
            wire.push_str(&format!("{name}: {value}\r\n"));
        }
        wire.push_str("\r\n");
        let mut wire = wire.into_bytes();
        wire.append(&mut self.body);
        wire
    }
}
