//! Which addresses are of the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a webhook may go there without being allowed to. `IpAddr::is_global` is not stable yet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// All but what the registry of special-purpose addresses names.
#[expect(clippy::unnested_or_patterns, reason = "one line for each range")]
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0, _, _) // this network, unspecified
            | (10, _, _) // private
            | (100, 64..=127, _) // carrier NAT
            | (127, _, _) // loopback
            | (169, 254, _) // link-local; the metadata of clouds
            | (172, 16..=31, _) // private
            | (192, 0, 0 | 2) // protocol assignments, documentation
            | (192, 88, 99) // relays of 6to4
            | (192, 168, _) // private
            | (198, 18..=19, _) // benchmarking
            | (198, 51, 100) // documentation
            | (203, 0, 113) // documentation
            | (224.., _, _) // multicast, reserved, broadcast
    )
}

/// What is handed out as global unicast (`2000::/3`), and of that no range with another address inside or a use of its own.
/// So all else is refused by not being listed: unspecified, loopback, IPv4-mapped and -compatible, NAT64, unique-local,
/// link-local, multicast, and what is not handed out yet.
#[expect(clippy::unnested_or_patterns, reason = "one line for each range")]
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let special = matches!(
        (a, b),
        (0x2001, 0..=0x01ff) // protocol assignments: Teredo, benchmarking, ORCHID
            | (0x2001, 0x0db8) // documentation
            | (0x2002, _) // 6to4: an IPv4 address inside
            | (0x3fff, 0..=0x0fff) // documentation
    );
    a & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both edges of every range, and what lies one past them.
    #[test]
    fn edges_of_the_ranges() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
        ] {
            let [first, last]: [Ipv4Addr; 2] = [first, last].map(|text| text.parse().unwrap());
            assert!(!is_public(first.into()) && !is_public(last.into()), "{first}-{last}");
            let before = first.to_bits().checked_sub(1).map(Ipv4Addr::from_bits);
            let after = last.to_bits().checked_add(1).map(Ipv4Addr::from_bits);
            for beside in before.into_iter().chain(after) {
                assert!(is_public(beside.into()), "{beside} is beside {first}-{last}");
            }
        }
        for (first, last) in [
            ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            let [first, last]: [Ipv6Addr; 2] = [first, last].map(|text| text.parse().unwrap());
            assert!(!is_public(first.into()) && !is_public(last.into()), "{first}-{last}");
            let before = first.to_bits().checked_sub(1).map(Ipv6Addr::from_bits);
            let after = last.to_bits().checked_add(1).map(Ipv6Addr::from_bits);
            for beside in before.into_iter().chain(after) {
                assert!(is_public(beside.into()), "{beside} is beside {first}-{last}");
            }
        }
    }
}
