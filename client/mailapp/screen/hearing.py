"""What news changes among the screens, and what is said or asked then. No I/O."""

from __future__ import annotations

from dataclasses import replace

from mailapp.render import visible_line
from mailapp.screen import editing, news, wishes
from mailapp.screen.base import Ask, Say, Show, Wish
from mailapp.screen.certificate import Certificate
from mailapp.screen.compose_form import Form
from mailapp.screen.draft_list import DraftList
from mailapp.screen.login import Login
from mailapp.screen.mail_list import MailList
from mailapp.screen.menu import Menu
from mailapp.screen.message import Message
from mailapp.screen.news import News
from mailapp.screen.paint import Size
from mailapp.screen.pile import Pile
from mailapp.screen.reading import Text
from mailapp.summary import ANSWERED, READ


def hear(pile: Pile, heard: News, server: str, room: Size) -> Wish | None:
    """What is to be said, shown or asked because of it. `room` is that of a body."""
    match heard:
        case news.SignedIn():
            user = visible_line(heard.account.user)
            menu = Menu(
                server,
                user,
                heard.contents,
                heard.drafts,
                safety=heard.safety,
                keeps_drafts=heard.keeps_drafts,
            )
            pile.begin_with(menu)
            return Say(heard.said or f"Welcome, {user}.")
        case news.OfList():
            return _about_the_list(pile, heard, room)
        case news.Opened():
            return _opened(pile, heard)
        case news.Done():
            return Say(heard.said)
        case news.Trouble():
            return _trouble(pile, heard, server)
    return _about_drafts(pile, heard)


def _count_drafts(pile: Pile, drafts: int) -> None:
    if (menu := pile.find(Menu)) is not None:
        pile.put(menu, replace(menu, drafts=drafts))


# The list


def _about_the_list(pile: Pile, heard: News, room: Size) -> Wish | None:
    mail_list, menu = pile.find(MailList), pile.find(Menu)
    match heard:
        case news.Listing() if mail_list is not None:
            pile.put(mail_list, mail_list.with_listing(heard))
            return Say(heard.said)
        case news.Listing() if menu is not None:
            pile.push(MailList.of(menu.user, heard))
        case news.Lines() if mail_list is not None:
            pile.put(mail_list, mail_list.with_lines(heard))
        case news.Found() if mail_list is not None and heard.epoch == mail_list.listing.epoch:
            found, wish = mail_list.found(heard.number, room)
            pile.put(mail_list, found)
            return wish
        case news.Arranged() if mail_list is not None:
            now = mail_list.with_listing(heard.listing) if heard.listing else mail_list
            arranged, wish = now.arranged(heard)
            pile.put(mail_list, arranged)
            return wish
        case news.Left() if menu is not None:
            pile.clear_above(menu)
            pile.put(menu, replace(menu, contents=heard.contents))
            return Say(heard.said)
    return None


def _opened(pile: Pile, opened: news.Opened) -> Wish | None:
    mail_list = pile.find(MailList)
    name = f"Message {opened.number:,}"
    if opened.how != "text":
        return Show(Text(f"{name}: {opened.how}", "", opened.text))
    if mail_list is None:
        return None
    changed = mail_list.with_listing(opened.listing) if opened.listing else mail_list
    changed = changed.with_status(opened.number, READ)
    pile.clear_above(mail_list)
    pile.put(mail_list, changed)
    aside = f"{opened.number:,} of {changed.listing.count:,}"
    return Show(
        Message(
            name,
            aside,
            opened.text,
            number=opened.number,
            unique_id=opened.unique_id,
            enclosed=opened.enclosed,
        )
    )


# Writing


def _about_drafts(pile: Pile, heard: News) -> Wish | None:
    form, drafts = pile.find(Form), pile.find(DraftList)
    match heard:
        case news.Started():
            if drafts is not None:
                pile.remove(drafts)
            return Show(Form.of(heard.draft, answers=heard.answers))
        case news.Drafts():
            if form is not None:
                pile.remove(form)
            return _kept_drafts(pile, heard, drafts)
        case news.Edited() if form is not None:
            if heard.text is not None:
                pile.put(form, form.with_body(heard.text))
            return Say(heard.said)
        case news.Attached() if form is not None:
            pile.put(form, replace(form, draft=heard.draft))
        case news.Completed() if form is not None:
            completed, wish = form.completed(heard.typed, heard.offers)
            pile.put(form, completed)
            return wish
        case news.Kept() if form is not None:
            return _kept(pile, heard, form)
        case news.Sent() if form is not None:
            return _sent(pile, heard, form)
    return None


def _kept_drafts(pile: Pile, heard: news.Drafts, drafts: DraftList | None) -> Wish | None:
    """From the menu they are offered; after one is thrown away, they are one less."""
    _count_drafts(pile, len(heard.kept))
    if drafts is None:
        is_offered = isinstance(pile.top, Menu) and heard.kept
        return Show(DraftList(heard.kept)) if is_offered else None
    if heard.kept:
        pile.put(drafts, DraftList(heard.kept, min(drafts.at, len(heard.kept))))
    else:
        pile.remove(drafts)
    return None


def _kept(pile: Pile, kept: news.Kept, form: Form) -> Wish:
    _count_drafts(pile, kept.count)
    if kept.leaves:
        pile.remove(form)
        if (drafts := pile.find(DraftList)) is not None:
            pile.remove(drafts)
    else:
        pile.put(form, replace(form, kept=kept.number))
    return Say("Kept as a draft: Send Mail offers it again.")


def _sent(pile: Pile, sent: news.Sent, form: Form) -> Wish:
    _count_drafts(pile, sent.drafts)
    if not sent.is_sent:
        pile.put(form, replace(form, kept=sent.kept))
        words = "\n\nThe message is kept as a draft. q leads back to it."
        return Show(Text("Not sent", "", "\n".join(sent.answers) + words))
    pile.remove(form)
    for kind in (DraftList, MailList):
        screen = pile.find(kind)
        if isinstance(screen, DraftList):
            pile.remove(screen)
        elif isinstance(screen, MailList) and sent.answered:
            pile.put(screen, screen.with_answered(sent.answered, ANSWERED))
    return Say("Sent. " + "; ".join(sent.answers))


# Trouble


def _trouble(pile: Pile, trouble: news.Trouble, server: str) -> Wish | None:
    mail_list, wish = pile.find(MailList), trouble.wish
    if trouble.certificate is not None:
        return Show(Certificate.of(trouble))
    if mail_list is not None:
        pile.put(mail_list, replace(mail_list, is_stalled=True))
    if trouble.is_login:
        user = wish.account.user if isinstance(wish, wishes.SignIn) else ""
        pile.begin_with(Login(server, editing.field(user), at=1 if user else 0))
    if trouble.is_in_use:
        return Ask(f"{trouble.text} Try again?", (("y", "try again", wish),))
    if isinstance(wish, wishes.Send):
        return Say("You did not wait for the server's answer: perhaps it was sent.")
    return Say(trouble.text)
