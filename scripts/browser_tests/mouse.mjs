// Uses a page by mouse and keyboard, as most people do.
export class Mouse {
    constructor(page) {
        this.page = page;
    }

    // Presses a link or a button.
    async press(role, name) {
        await this.page.getByRole(role, { name, exact: true }).first().click();
    }

    // Writes into a field.
    async fill(label, text) {
        await this.page.getByLabel(label, { exact: true }).fill(text);
    }

    // Checks a radio button or a box.
    async check(role, name) {
        await this.page.getByRole(role, { name }).check();
    }

    // Chooses an option of a list.
    async choose(label, option) {
        await this.page.getByLabel(label, { exact: true }).selectOption(option);
    }

    // Searches with the field at the top.
    async search(text) {
        const field = this.page.getByRole('searchbox');
        await field.fill(text);
        await field.press('Enter');
    }
}
