//! Addresses of the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns whether an address is public. (`IpAddr::is_global` is not stable yet.)
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Excludes the IANA registry of special-purpose addresses, and public addresses that clouds route to
/// services of the host.
#[expect(clippy::unnested_or_patterns, reason = "one line for each range")]
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    !matches!(
        (a, b, c, d),
        (0, _, _, _) // this network, unspecified
            | (10, _, _, _) // private
            | (100, 64..=127, _, _) // carrier NAT
            | (127, _, _, _) // loopback
            | (169, 254, _, _) // link-local; the metadata of clouds
            | (161, 26, _, _) // services of IBM Cloud
            | (166, 8..=11, _, _) // services of IBM Cloud
            | (168, 63, 129, 16) // services of Azure
            | (172, 16..=31, _, _) // private
            | (192, 0, 0 | 2, _) // protocol assignments, documentation
            | (192, 88, 99, _) // relays of 6to4
            | (192, 168, _, _) // private
            | (198, 18..=19, _, _) // benchmarking
            | (198, 51, 100, _) // documentation
            | (203, 0, 113, _) // documentation
            | (224.., _, _, _) // multicast, reserved, broadcast
    )
}

/// Accepts global unicast (`2000::/3`) without the ranges that embed another address or have a special use.
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

    /// Checks both ends of every range, and one address beyond each end.
    #[test]
    fn ranges_are_refused_and_their_neighbours_are_public() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("161.26.0.0", "161.26.255.255"),
            ("166.8.0.0", "166.11.255.255"),
            ("168.63.129.16", "168.63.129.16"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
            ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            let [first, last]: [IpAddr; 2] = [first, last].map(|text| text.parse().unwrap());
            assert!(!is_public(first) && !is_public(last), "{first}-{last}");
            for outside in neighbour(first, -1).into_iter().chain(neighbour(last, 1)) {
                assert!(is_public(outside), "{outside} is next to {first}-{last}");
            }
        }
    }

    fn neighbour(address: IpAddr, step: i8) -> Option<IpAddr> {
        Some(match address {
            IpAddr::V4(four) => Ipv4Addr::from_bits(four.to_bits().checked_add_signed(step.into())?).into(),
            IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits().checked_add_signed(step.into())?).into(),
        })
    }
}
