//! Addresses and development names.

use super::*;

#[test]
fn local_addresses_are_canonical_and_exempt() {
    for (typed, text) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.255.255.254:3000", "127.255.255.254"),
        ("http://10.0.0.1/x", "10.0.0.1"),
        ("172.16.0.1", "172.16.0.1"),
        ("172.31.255.255", "172.31.255.255"),
        ("192.168.1.20:8000", "192.168.1.20"),
        ("169.254.1.1", "169.254.1.1"),
        ("0.0.0.0:8080", "0.0.0.0"),
        ("127.0.0.1.", "127.0.0.1"),
        ("１２７。0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[::1]:8080", "::1"),
        ("https://[::1]:8080/x", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("[::]:80", "::"),
        ("fc00::", "fc00::"),
        ("[FD12:3456:0:0::A]", "fd12:3456::a"),
        ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fe80::1", "fe80::1"),
        ("febf::1", "febf::1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("[::ffff:7f00:1]:80", "127.0.0.1"),
        ("[::FFFF:192.168.0.1]", "192.168.0.1"),
    ] {
        check(typed, Ok(text));
        check_exempt(typed, true);
        assert_eq!(name(typed).covering_names(), [text], "{typed}");
    }
}

#[test]
fn other_addresses_are_rejected() {
    check_errors(&[
        (
            E::PublicAddress,
            "8.8.8.8 203.0.113.7:443 https://1.1.1.1/ 126.255.255.255 128.0.0.1 11.0.0.1 172.15.255.255
             172.32.0.1 192.169.0.1 169.253.0.1 0.0.0.1 100.64.0.1 224.0.0.1 255.255.255.255
             [2001:db8::1] 2606:4700::1111 [2606:4700::1111]:443 ::2 fbff::1 fe00::1 fec0::1 ff02::1
             ::ffff:8.8.8.8",
        ),
        // Notations that lead to 127.0.0.1 on some machines only.
        (E::PublicAddress, "::127.0.0.1 64:ff9b::7f00:1 2002:7f00:1::"),
        (
            E::NumericTopLabel,
            "127.1 127.0.1 0x7f000001 0x7f.0.0.1 127.0.0.0x1 010.0.0.1 127.0.0.01 0177.0.0.1 2130706433
             017700000001 10.0.0.256",
        ),
        (E::ZoneId, "[fe80::1%eth0] fe80::1%eth0 [fe80::1%25eth0]:80 ::1% http://[::1%lo]/"),
        (
            E::MalformedAddress,
            "[] [ [::1 [::1]x [::1].example.com [127.0.0.1] [example.com] [1::2::3] [::1]] [[::1]] [::g]
             [*::1] [v1.x]",
        ),
        (E::Port, "[::1]: [::1]:99999 [::1]:x 1::2::3 ::g ::1]"),
    ]);
}

#[test]
fn development_names_are_exempt_by_whole_labels() {
    for typed in words(
        "localhost LOCALHOST.:3000 app.localhost a.b.localhost shop.test www.shop.test printer.local
         api.internal x.ｌｏｃａｌ www.localhost www.test",
    ) {
        check_exempt(typed, true);
    }
    for typed in words(
        "test local internal example.com notlocalhost mylocalhost localhost.com localhost.example.com
         example.localhost.com test.com shop.test.com shop.mytest contest shop.contest xlocal a.xlocal
         a.local.evil.com internal.com a-internal localhost1 127.0.0.1.example.com 10.example.com
         192.168.0.1.nip.io fe80.com",
    ) {
        check_exempt(typed, false);
    }
    assert!(!registered_name("*.example.com").is_exempt());
}
