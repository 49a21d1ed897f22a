-- The book shop's own database: look-ups read it, Sidegate never writes it.
create table books (
  id text primary key,
  title text not null,
  author_id text not null
);
create table reviewers (
  book_id text not null references books (id),
  member_id text not null,
  primary key (book_id, member_id)
);
insert into books (id, title, author_id) values
  ('b1', 'Gates and Their Keepers', 'ada'),
  ('b2', 'A Short History of Keys', 'ben');
insert into reviewers (book_id, member_id) values ('b1', 'rita');
