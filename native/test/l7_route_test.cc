#include <string>

#include "../l7/route.h"
#include "check.h"

namespace skybraid::l7 {

namespace {

std::string Route(std::string_view path, bool cut = false) {
  OperationText out;
  AddRoute(path, cut, out);
  return std::string(out.view());
}

}  // namespace

TEST("l7 route: what identifies a single thing is folded") {
  CHECK_EQ(Route("/users/42"), "/users/{id}");
  CHECK_EQ(Route("/users/42/orders/9f86d081884c7d65"), "/users/{id}/orders/{id}");
  CHECK_EQ(Route("/o/550e8400-e29b-41d4-a716-446655440000/items"), "/o/{id}/items");
  CHECK_EQ(Route("/days/2024-05-01"), "/days/{id}");
  CHECK_EQ(Route("/hosts/10.1.2.3"), "/hosts/{id}");
  CHECK_EQ(Route("/mail/ann@example.com"), "/mail/{id}");
  CHECK_EQ(Route("/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x"), "/reset/{id}");
  CHECK_EQ(Route("/u/01ARZ3NDEKTSV4RRFFQ69G5FAV"), "/u/{id}");
  CHECK_EQ(Route("/t/dGhpcyBpcyBhIHRlc3Q"), "/t/{id}");
  CHECK_EQ(Route("/search/caf%C3%A9"), "/search/{id}");
  CHECK_EQ(Route("/assets/app.3f2a9c1b.js"), "/assets/{id}");
}

TEST("l7 route: words stay") {
  for (const char* path : {"/", "/api/v1/users", "/oauth2/token", "/apis/apps/v1beta1/deployments",
                           "/healthz", "/static/index.html", "/a/b/", "/user_profiles/by-name",
                           "/pkg.Service/GetThing", "/CamelCase/getUserById", "/s3/base64"}) {
    CHECK_EQ(Route(path), path);
  }
}

TEST("l7 route: query, fragment, scheme, user and host are left out") {
  CHECK_EQ(Route("/a?token=secret"), "/a");
  CHECK_EQ(Route("/a#secret"), "/a");
  CHECK_EQ(Route("/a;jsessionid=secret"), "/a");
  CHECK_EQ(Route("http://user:secret@host:80/a/b?x"), "/a/b");
  CHECK_EQ(Route("http://host"), "/");
  CHECK_EQ(Route("http://host?secret"), "/");
  CHECK_EQ(Route("*"), "*");
  CHECK_EQ(Route("secret"), "/{id}");
}

TEST("l7 route: a cut path says so, unless the cut fell behind it") {
  CHECK_EQ(Route("/users/lo", true), "/users/{cut}");
  CHECK_EQ(Route("/users/all?x=", true), "/users/all");
  CHECK_EQ(Route("", true), "/{cut}");
}

TEST("l7 route: bounded and printable") {
  std::string deep;
  for (int i = 0; i < 100; i++) deep += "/abc";
  CHECK_EQ(Route(deep), "/abc/abc/abc/abc/abc/abc/abc/abc/{more}");
  std::string wide;
  for (int i = 0; i < 8; i++) wide += "/" + std::string(40, 'a');
  CHECK(Route(wide).size() <= kMaxOperation);
  CHECK_EQ(Route("/a\x01\xff/b"), "/{id}/b");
}

}  // namespace skybraid::l7
