"""What to change: sites, the forms that apply at them, and the choice between them. Planning is pure."""
