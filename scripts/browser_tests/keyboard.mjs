// Uses a page by keyboard alone: Tab, Enter, Space, arrows, and / for the search. The focus must be visible at each step.
const MOST_STEPS = 400;

// Runs in the page: returns why a person cannot see where the focus is, or an empty text.
const hiddenFocus = () => {
    const element = document.activeElement;
    if (!element || element === document.body) return '';
    const style = getComputedStyle(element);
    const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
    const name = element.outerHTML.slice(0, 120);
    if (!outlined) return `no outline on ${name}`;
    // The middle of the part that is in the window.
    const box = element.getBoundingClientRect();
    const [left, right] = [Math.max(box.left, 0), Math.min(box.right, innerWidth)];
    const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
    const shown = left < right && top < bottom && document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    if (!shown) return `out of sight: ${name}`;
    const label = element.closest('label');
    if (!element.contains(shown) && !(label && label.contains(shown))) {
        return `${name} is covered by ${shown.outerHTML.slice(0, 80)}`;
    }
    return '';
};

export class Keyboard {
    constructor(page) {
        this.page = page;
    }

    // Presses a link or a button: Space for buttons, Enter for links.
    async press(role, name) {
        await this.#reach(this.page.getByRole(role, { name, exact: true }).first());
        await this.page.keyboard.press(role === 'button' ? 'Space' : 'Enter');
    }

    // Writes into a field.
    async fill(label, text) {
        await this.#reach(this.page.getByLabel(label, { exact: true }));
        await this.page.keyboard.press('Control+A');
        await this.page.keyboard.type(text);
    }

    // Checks a radio button with the arrows, or a box with Space.
    async check(role, name) {
        const target = this.page.getByRole(role, { name });
        if (role === 'radio') {
            const group = await target.getAttribute('name');
            await this.#tabUntil(target, (element, group) => document.activeElement.name === group, group);
            for (let step = 0; step < MOST_STEPS && !(await this.#isFocused(target)); step++) {
                await this.page.keyboard.press('ArrowDown');
                await this.#assertVisible();
            }
        } else {
            await this.#reach(target);
        }
        if (!(await target.isChecked())) await this.page.keyboard.press('Space');
        if (!(await target.isChecked())) throw new Error(`${name} is not checked`);
    }

    // Chooses an option of a list by its first letters.
    async choose(label, option) {
        const list = this.page.getByLabel(label, { exact: true });
        await this.#reach(list);
        await this.page.keyboard.type(option);
        const chosen = await list.evaluate((element) => element.selectedOptions[0].label);
        if (chosen !== option) throw new Error(`${label} is ${chosen}`);
    }

    // Searches with the field at the top, which / focuses. Without scripts, Tab reaches it.
    async search(text) {
        const field = this.page.getByRole('searchbox');
        await this.page.keyboard.press('/');
        if (!(await this.#isFocused(field))) throw new Error('/ does not focus the search');
        await this.#assertVisible();
        await this.page.keyboard.type(text);
        await this.page.keyboard.press('Enter');
    }

    async #reach(target) {
        await this.#tabUntil(target, (element) => document.activeElement === element);
    }

    async #tabUntil(target, holds, argument) {
        await target.waitFor();
        for (let step = 0; step < MOST_STEPS; step++) {
            if (await target.evaluate(holds, argument)) return;
            await this.page.keyboard.press('Tab');
            await this.#assertVisible();
        }
        throw new Error(`Tab does not reach ${target}`);
    }

    #isFocused(target) {
        return target.evaluate((element) => document.activeElement === element);
    }

    async #assertVisible() {
        const why = await this.page.evaluate(hiddenFocus);
        if (why) throw new Error(`the focus is not visible: ${why}`);
    }
}
