use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::webhooks::destination::tests::{Answers, rules};

fn secrets<const N: usize>(texts: [&str; N]) -> [WebhookSecret; N] {
    texts.map(|text| WebhookSecret::parse(text).unwrap())
}

/// Starts a receiver on a loopback address that counts its connections.
async fn receiver<F: Future<Output = ()> + Send + 'static>(
    address: &str,
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream));
        }
    });
    (address, calls)
}

/// Starts a receiver that sends `answer` and closes.
async fn answering(address: &str, answer: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    receiver(address, move |mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await
}

/// Reads a request up to its body `{}`.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n{}") {
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            break;
        }
    }
    String::from_utf8(bytes).unwrap()
}

async fn send(sender: &Sender, url: &str) -> Attempt {
    let secrets = secrets(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
    let message = Message { url, id: "msg_1", secrets: &secrets, body: "{}".to_owned() };
    sender.send(message, DateTime::UNIX_EPOCH).await
}

async fn attempt(rules: Destinations, url: &str) -> Attempt {
    send(&Sender::new(rules).unwrap(), url).await
}

fn answered(status: u16, body: &str) -> AttemptResult {
    AttemptResult::Answered { status, retry_after: None, body: body.to_owned() }
}

fn failed(error: &str) -> AttemptResult {
    AttemptResult::Failed { error: error.to_owned() }
}

fn loopback() -> Destinations {
    rules(&["127.0.0.1/32"]).allow_http()
}

#[tokio::test]
async fn answer_is_recorded_with_status_and_body() {
    for (answer, result) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", answered(200, "ok")),
        ("HTTP/1.1 204 No Content\r\n\r\n", answered(204, "")),
        ("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", answered(410, "")),
        (
            "HTTP/1.1 503 Busy\r\nretry-after: 90\r\ncontent-length: 2\r\n\r\nno",
            AttemptResult::Answered {
                status: 503,
                retry_after: Some(Duration::from_secs(90)),
                body: "no".to_owned(),
            },
        ),
    ] {
        let (address, calls) = answering("127.0.0.1:0", answer).await;
        assert_eq!(attempt(loopback(), &format!("http://{address}/hook")).await.result, result);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn redirect_is_recorded_and_not_followed() {
    let (elsewhere, followed) =
        answering("127.0.0.1:0", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let answer = format!("HTTP/1.1 307 There\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\n\r\n");
    let (address, _) = answering("127.0.0.1:0", answer.leak()).await;
    assert_eq!(attempt(loopback(), &format!("http://{address}/")).await.result, answered(307, ""));
    assert_eq!(followed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn endless_answer_is_read_up_to_the_limit() {
    let (cut, mut was_cut) = tokio::sync::mpsc::channel(1);
    let (address, _) = receiver("127.0.0.1:0", move |mut stream| {
        let cut = cut.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            while stream.write_all("ä".repeat(1000).as_bytes()).await.is_ok() {}
            cut.send(()).await.unwrap();
        }
    })
    .await;
    let reply = attempt(loopback(), &format!("http://{address}/")).await;
    assert_eq!(reply.result, answered(200, &"ä".repeat(limits::ANSWER_BYTES / 2)));
    assert_eq!(was_cut.recv().await, Some(()), "the connection is closed");
}

#[tokio::test]
async fn endless_informational_answers_end_the_attempt() {
    let (cut, mut was_cut) = tokio::sync::mpsc::channel(1);
    let (address, _) = receiver("127.0.0.1:0", move |mut stream| {
        let cut = cut.clone();
        async move {
            read_request(&mut stream).await;
            while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {}
            cut.send(()).await.unwrap();
        }
    })
    .await;
    let reply = attempt(loopback(), &format!("http://{address}/")).await;
    assert_eq!(reply.result, failed("more than 8 informational answers"));
    assert_eq!(was_cut.recv().await, Some(()), "the connection is closed");
}

#[tokio::test]
async fn few_informational_answers_are_skipped() {
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(8);
    let answer = format!("{early}HTTP/1.1 204 No Content\r\n\r\n");
    let (address, _) = answering("127.0.0.1:0", answer.leak()).await;
    assert_eq!(attempt(loopback(), &format!("http://{address}/")).await.result, answered(204, ""));
}

#[tokio::test(start_paused = true)]
async fn receiver_that_hangs_times_out_after_15_seconds() {
    let (address, _) = receiver("127.0.0.1:0", |stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let reply = attempt(loopback(), &format!("http://{address}/")).await;
    assert_eq!(reply.result, failed("no answer within 15 seconds"));
    assert_eq!(reply.duration.as_secs(), 15);
}

#[tokio::test]
async fn failure_below_http_is_recorded_without_the_url() {
    let (address, _) = receiver("127.0.0.1:0", |mut stream| async move {
        stream.write_all(b"220 neither HTTP nor TLS\r\n").await.unwrap();
    })
    .await;
    let (closing, _) = receiver("127.0.0.1:0", |stream| async move { drop(stream) }).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let unknown = Answers::new([]);
    for (rules, url, reason) in [
        (loopback(), format!("http://{closed}/"), "no connection: Connection refused"),
        (loopback(), format!("https://{address}/"), "no connection: received corrupt message"),
        (loopback(), format!("http://{address}/"), "no answer: received unexpected message"),
        (loopback(), format!("http://{closing}/"), "no answer: "),
        (loopback().resolver(unknown), "http://unknown.example/".to_owned(), "no connection: unknown name"),
    ] {
        let AttemptResult::Failed { error } = attempt(rules, &url).await.result else {
            panic!("{url} answered");
        };
        assert!(error.starts_with(reason), "{url}: {error}");
        assert!(!error.contains("://"), "{error}");
    }
}

/// DNS rebinding: the name resolves to a public address at the check, and to a private one at the attempt.
#[tokio::test]
async fn rebound_name_is_not_called() {
    let ok = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let (allowed, to_allowed) = answering("127.0.0.2:0", ok).await;
    let (_, to_private) = answering(&format!("127.0.0.3:{}", allowed.port()), ok).await;
    let answers = Answers::new([
        vec!["93.184.215.14"],
        vec!["127.0.0.3"],
        vec!["127.0.0.3", "127.0.0.2", "::1"],
        vec!["127.0.0.3", "10.0.0.1", "::ffff:127.0.0.2"],
    ]);
    let rules = rules(&["127.0.0.2/32"]).allow_http().resolver(answers.clone());
    let url = format!("http://rebound.example:{}/", allowed.port());
    rules.check(&url).await.unwrap();
    let sender = Sender::new(rules).unwrap();
    let refused = failed("no connection: every address of the name is refused");
    for expected in [refused.clone(), answered(200, ""), refused] {
        let before = answers.lookups();
        assert_eq!(send(&sender, &url).await.result, expected);
        assert_eq!(answers.lookups(), before + 1, "no second lookup between check and connection");
    }
    assert_eq!((to_allowed.load(Ordering::SeqCst), to_private.load(Ordering::SeqCst)), (1, 0));
}

#[test]
fn retry_after_is_parsed_in_all_formats() {
    let now = "1994-11-06T08:49:07Z".parse().unwrap();
    for (text, seconds) in [
        ("0", Some(0)),
        ("120", Some(120)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(30)),
        ("Sun Nov  6 08:49:37 1994", Some(30)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("99999999999999999999999", Some(u64::from(u32::MAX))),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
    ] {
        let found = retry_after(&HeaderValue::from_static(text), now);
        assert_eq!(found.map(|pause| pause.as_secs()), seconds, "{text:?}");
    }
}

#[test]
fn every_secret_signs() {
    let old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let body = r#"{"test": 2432232314}"#.to_owned();
    let secrets = secrets([new, old]);
    let message = Message { url: "", id: "msg_p5jXN8AQM9LWM0D4loKWxJek", secrets: &secrets, body };
    let headers = headers(&message, DateTime::from_timestamp(1_614_265_330, 0).unwrap()).unwrap();
    assert_eq!(headers["webhook-id"], message.id);
    assert_eq!(headers["webhook-timestamp"], "1614265330");
    let signatures: Vec<_> = headers["webhook-signature"].to_str().unwrap().split(' ').collect();
    // The example of the specification.
    assert_eq!(signatures[1], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert!(signatures[0].starts_with("v1,") && signatures[0] != signatures[1]);
}
