use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A resolver that gives these answers in turn, and then fails.
#[derive(Clone, Debug)]
pub(crate) struct Answers(Arc<(Mutex<VecDeque<Vec<IpAddr>>>, AtomicUsize)>);

impl Answers {
    pub(crate) fn new<const N: usize>(answers: [Vec<&str>; N]) -> Self {
        let read = |texts: Vec<&str>| texts.into_iter().map(|text| text.parse().unwrap()).collect();
        Self(Arc::new((Mutex::new(answers.into_iter().map(read).collect()), AtomicUsize::new(0))))
    }

    pub(crate) fn lookups(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl NameResolver for Answers {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.0.1.fetch_add(1, Ordering::SeqCst);
        let next = self.0.0.lock().unwrap().pop_front();
        next.ok_or_else(|| io::Error::other("unknown name"))
    }
}

pub(crate) fn rules(allowed: &[&str]) -> Destinations {
    allowed.iter().fold(Destinations::public(), |rules, network| rules.allow(network.parse().unwrap()))
}

/// Addresses in all notations that the client accepts, and from all ranges that are not public.
const REFUSED: [(&str, &str); 7] = [
    (
        "loopback",
        "127.0.0.1 127.0.0.1. 127.1 127.0.1 127.255.255.254 2130706433 0x7f000001 0x7f.1 0X7F.0.0.0x1 0177.0.0.1 \
         017700000001 00000177.1 %31%32%37.0.0.1 127%2e0%2e0%2e1 １２７.0.0.1 ①②⑦.0.0.1 127。0。0。1 [::1] \
         [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1]",
    ),
    ("unspecified, which connects to this machine", "0 0.0.0.0 0x0 [::] 0.1.2.3"),
    (
        "private, link-local (metadata of clouds), unique-local, site-local",
        "10.0.0.1 10.1 172.16.0.1 172.31.255.255 192.168.0.1 3232235521 169.254.169.254 0xa9fea9fe \
         [::ffff:169.254.169.254] [fd00:ec2::254] [fc00::1] [fe80::1] [febf::1] [fec0::1]",
    ),
    (
        "carrier NAT, documentation, benchmarking, protocol assignments",
        "100.64.0.1 100.127.255.255 192.0.0.8 192.0.2.1 198.51.100.1 203.0.113.1 198.18.0.1 198.19.255.255 \
         192.88.99.1 [2001:db8::1] [3fff::1] [2001:2::1] [2001:10::1] [100::1]",
    ),
    (
        "multicast, reserved, broadcast",
        "224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 4294967295 [ff02::1]",
    ),
    (
        "with an embedded address: NAT64, 6to4, Teredo, mapped, compatible, translated",
        "[64:ff9b::7f00:1] [64:ff9b::10.0.0.1] [64:ff9b::8.8.8.8] [64:ff9b:1::1] [2002:7f00:1::] \
         [2002:a00:1::1] [2001:0:4136:e378:8000:63bf:3fff:fdd2] [::ffff:8.8.8.8] [::8.8.8.8] \
         [::ffff:0:127.0.0.1]",
    ),
    ("unassigned", "[4000::1] [5f00::1]"),
];

#[test]
fn private_address_is_refused_in_every_notation() {
    for (range, hosts) in REFUSED {
        for host in hosts.split(' ') {
            for url in [format!("https://{host}/"), format!("https://{host}:8443/hook?a=b")] {
                let found = rules(&[]).allow_http().url(&url).map(|url| url.to_string());
                assert_eq!(found, Err(DestinationError::Address), "{url} is {range}");
            }
        }
    }
}

#[test]
fn malformed_url_is_refused() {
    let long = |len: usize| format!("https://example.com/{}", "x".repeat(len - 20));
    assert_eq!(rules(&[]).url(&long(limits::ENDPOINT_URL_BYTES)).map(|_| ()), Ok(()));
    for (url, why) in [
        ("", DestinationError::Form),
        ("example.com", DestinationError::Form),
        ("//example.com/", DestinationError::Form),
        ("https://", DestinationError::Form),
        ("https:///", DestinationError::Form),
        ("https://exa mple.com/", DestinationError::Form),
        ("https://example.com/\n", DestinationError::Form),
        ("https://exam\tple.com/", DestinationError::Form),
        (" https://example.com/", DestinationError::Form),
        ("https://example.com/\u{a0}", DestinationError::Form),
        ("https://example.com:0/", DestinationError::Form),
        ("https://example.com:65536/", DestinationError::Form),
        ("https://example.com/#part", DestinationError::Form),
        ("https://256.1.1.1/", DestinationError::Form),
        ("https://1.2.3.4.5/", DestinationError::Form),
        ("https://[::1/", DestinationError::Form),
        ("https://[fe80::1%25eth0]/", DestinationError::Form),
        ("http://example.com/", DestinationError::Scheme),
        ("ftp://example.com/", DestinationError::Scheme),
        ("file:///etc/passwd", DestinationError::Scheme),
        ("data:text/plain,x", DestinationError::Scheme),
        ("unix:/run/docker.sock", DestinationError::Scheme),
        ("https://user@example.com/", DestinationError::Credentials),
        ("https://user:secret@example.com/", DestinationError::Credentials),
        ("https://:secret@example.com/", DestinationError::Credentials),
        ("https://example.com@127.0.0.1/", DestinationError::Credentials),
        (&long(limits::ENDPOINT_URL_BYTES + 1), DestinationError::TooLong),
    ] {
        assert_eq!(rules(&[]).url(url).map(|_| ()), Err(why), "{url:?}");
    }
}

#[test]
fn public_or_allowed_address_passes() {
    for (allowed, url) in [
        (&[][..], "https://example.com/hook"),
        (&[], "https://8.8.8.8/"),
        (&[], "https://134744072/"),
        (&[], "https://[2606:4700:4700::1111]/"),
        (&[], "https://[2a00:1450::1]:8443/a?b=c"),
        (&[], "https://xn--bcher-kva.example/"),
        (&["127.0.0.0/8"], "https://127.0.0.1/"),
        (&["127.0.0.0/8"], "https://0x7f.1/"),
        (&["10.0.0.0/8", "::1/128"], "https://[::1]/"),
        (&["10.0.0.0/8", "::1/128"], "https://10.255.0.1/"),
    ] {
        assert!(rules(allowed).url(url).is_ok(), "{allowed:?} {url}");
    }
    for (allowed, url) in [
        ("10.0.0.0/24", "https://10.0.1.1/"),
        ("127.0.0.1/32", "https://127.0.0.2/"),
        // Allowing an IPv4 network does not allow IPv6 forms of its addresses.
        ("127.0.0.0/8", "https://[::ffff:127.0.0.1]/"),
        ("127.0.0.0/8", "https://[64:ff9b::7f00:1]/"),
        ("127.0.0.0/8", "https://[::1]/"),
    ] {
        assert_eq!(rules(&[allowed]).url(url).map(|_| ()), Err(DestinationError::Address), "{allowed} {url}");
    }
    assert!(rules(&[]).allow_http().url("http://example.com/").is_ok());
}

#[tokio::test]
async fn name_of_a_new_endpoint_is_resolved_and_checked() {
    let check = |answers: Vec<&'static str>| async move {
        rules(&["10.1.0.0/16"]).resolver(Answers::new([answers])).check("https://inside.example/").await
    };
    for answers in [vec!["127.0.0.1"], vec!["10.0.0.1", "::1"], vec!["::ffff:8.8.8.8"]] {
        assert_eq!(check(answers).await, Err(DestinationError::Address));
    }
    for answers in [vec!["8.8.8.8"], vec!["10.1.2.3"], vec!["127.0.0.1", "8.8.8.8"], vec![]] {
        assert_eq!(check(answers).await, Ok(()));
    }
    let unresolvable = rules(&[]).resolver(Answers::new([]));
    assert_eq!(unresolvable.check("https://inside.example/").await, Ok(()), "the name may be created later");
}

/// Forms of other crates have the rule of the API.
#[tokio::test]
async fn rule_of_forms_refuses_what_the_api_refuses() {
    let rules = Destinations::public();
    for url in ["https://10.0.0.1/", "http://example.com/", "https://user@example.com/", "text"] {
        let reason = rules.check(url).await.expect_err(url).to_string();
        assert_eq!(rules.check_url(url).await, Err(reason), "{url}");
    }
    assert_eq!(rules.check_url("https://93.184.215.14/").await, Ok(()));
}
