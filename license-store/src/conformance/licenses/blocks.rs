//! Cases of blocked domains and devices.

use super::slots::{CALLERS, ROUNDS};
use crate::conformance::prelude::*;

fn device_binding(text: &str) -> Binding {
    Binding::Device(device(text))
}

fn block(binding: Binding) -> Command {
    Command::Block(ActivationTarget::Binding(binding))
}

fn because(reason: &str) -> CommandContext {
    CommandContext { reason: Some(Reason::parse(reason).expect("a reason")), ..context(at(60)) }
}

/// A block is stored in the commit of its release. Every handle denies the name by it until it is removed, in
/// validations and in commands.
pub async fn blocked_name_is_denied_on_every_handle(Handles { store, other, .. }: &Handles) {
    let license = issue(store, &spec("small")).await;
    ask(store, &license.id, &activate(Some("a.com"), Some("d1"))).await.expect("free slots");
    let held = detail(store, &license.id).await.devices[0].id.clone();
    let by_id = Command::Block(ActivationTarget::Id(held.clone()));
    ask_in(store, &license.id, &by_id, &because("stolen")).await.expect("held");
    assert_eq!(ask(other, &license.id, &by_id).await, Err(DenialCode::ActivationNotFound), "released");
    ask(other, &license.id, &block(Binding::Domain(domain("*.b.com")))).await.expect("an unused name");
    let stored = detail(other, &license.id).await;
    assert_eq!((stored.license.devices_used, stored.devices.len()), (0, 0), "the slot is free");
    let blocks: Vec<_> =
        stored.license.blocks.iter().map(|one| (one.binding.clone(), one.reason.clone())).collect();
    let expected = [
        (device_binding("d1"), Some(Reason::parse("stolen").expect("a reason"))),
        (Binding::Domain(domain("*.b.com")), None),
    ];
    assert_eq!(blocks, expected);
    for store in [store, other] {
        let of = claim(None, Some("d1"));
        let snapshot = ok!(store.find_by_key(&license.key_digest, &of)).expect("the license");
        let evaluation = evaluate(&snapshot, &of, &plans(), at(61)).expect("the plan is known");
        let Evaluation::Decided(Verdict::Denied(denied)) = evaluation else {
            panic!("{evaluation:?} is no denial");
        };
        assert_eq!(denied.reasons(), [Denial::DeviceBlocked], "a validation is denied by the block");
        let denied = ask(store, &license.id, &activate(None, Some("d1"))).await;
        assert_eq!(denied, Err(DenialCode::DeviceBlocked));
        let denied = ask(store, &license.id, &activate(Some("x.b.com"), None)).await;
        assert_eq!(denied, Err(DenialCode::DomainBlocked));
        assert_eq!(ok!(store.get(&license.id)).expect("the license"), stored, "a denial changes nothing");
    }
    let blocks: Vec<_> = stored.license.blocks.iter().map(|block| block.id.clone()).collect();
    for id in &blocks {
        ask(other, &license.id, &Command::Unblock(id.clone())).await.expect("blocked");
        let again = ask(store, &license.id, &Command::Unblock(id.clone())).await;
        assert_eq!(again, Err(DenialCode::BlockNotFound));
    }
    ask(store, &license.id, &activate(Some("x.b.com"), Some("d1"))).await.expect("nothing is blocked");
}

/// The largest blocks are stored as they are.
pub async fn license_can_have_all_blocks(Handles { store, other, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    let name = |n: usize| format!("{n:03}{}", "ü'".repeat(84));
    let reason = "№\"".repeat(limits::REASON_BYTES / 4);
    for n in 0..limits::BLOCKS {
        ask_in(store, &license.id, &block(device_binding(&name(n))), &because(&reason)).await.expect("room");
    }
    let more = ask(store, &license.id, &block(device_binding("more"))).await;
    assert_eq!(more, Err(DenialCode::TooManyBlocks));
    let stored = detail(other, &license.id).await.license;
    assert_eq!(stored.blocks.iter().count(), limits::BLOCKS);
    for (n, block) in stored.blocks.iter().enumerate() {
        assert_eq!(block.binding, device_binding(&name(n)));
        assert_eq!(block.reason.as_ref().map(Reason::as_str), Some(reason.as_str()));
    }
}

/// If a block races with activations of its device, the device holds no slot afterwards, and no call that begins
/// after the block is granted.
pub async fn block_races_with_activations(Handles { both: handles, .. }: &Handles) {
    for _ in 0..ROUNDS {
        let license = issue_with_slots(&handles[0], 9).await;
        let blocked = Arc::new(AtomicBool::new(false));
        let late = race(handles, CALLERS, |task, store| {
            let (id, blocked) = (license.id.clone(), Arc::clone(&blocked));
            async move {
                if task == 0 {
                    ask(&store, &id, &block(device_binding("d"))).await.expect("active");
                    blocked.store(true, Ordering::SeqCst);
                    return 0;
                }
                let began_after = blocked.load(Ordering::SeqCst);
                let granted = ask(&store, &id, &activate(None, Some("d"))).await.is_ok();
                usize::from(began_after && granted)
            }
        })
        .await;
        let late: usize = late.iter().sum();
        assert_eq!(late, 0, "{late} activations that began after the block were granted");
        let stored = detail(&handles[1], &license.id).await;
        assert_eq!((stored.license.devices_used, stored.devices.len()), (0, 0), "the device holds no slot");
        assert_counts(&stored);
    }
}

/// The reason of a state is stored with it, and gone when the state ends.
pub async fn reason_of_state_is_stored(Handles { store, other, .. }: &Handles) {
    let license = issue(store, &spec("small")).await;
    let reason = |license: &License| license.state_reason.as_ref().map(|reason| reason.as_str().to_owned());
    for (command, expected) in [
        (Command::Suspend, Some("payment 'failed' № 17".to_owned())),
        (Command::Reinstate, None),
        (Command::Revoke, Some("payment 'failed' № 17".to_owned())),
    ] {
        let done = ask_in(store, &license.id, &command, &because("payment 'failed' № 17")).await;
        assert_eq!(reason(&done.expect("allowed")), expected, "{command:?}");
        assert_eq!(reason(&detail(other, &license.id).await.license), expected, "{command:?}");
    }
}
