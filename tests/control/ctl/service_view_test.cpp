// Services as people read them.
#include "control/ctl/service_view.h"

#include <gtest/gtest.h>

namespace weir::ctl {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Json frontend(const Json& inside, const Json& outside) {
  return {{"address", "10.96.0.10"}, {"port", 80},         {"protocol", "tcp"},
          {"kind", "node-port"},     {"masquerade", true}, {"drop_inside", false},
          {"drop_outside", true},    {"taken_by", ""},     {"inside", inside},
          {"outside", outside}};
}

TEST(ServiceView, SaysWhereClientsInsideAndOutsideGet) {
  const Json backends = Json::array({{{"address", "10.244.0.5"}, {"port", 8080}, {"weight", 3}},
                                     {{"address", "fd00::5"}, {"port", 8080}}});
  const std::string split = service_text(
      {{"name", "default/web"}, {"frontends", Json::array({frontend(backends, Json::array())})}});
  EXPECT_TRUE(contains(split, "10.244.0.5:8080*3 [fd00::5]:8080")) << split;
  EXPECT_TRUE(contains(split, "dropped")) << split;
  EXPECT_TRUE(contains(split, "masqueraded")) << split;
  const std::string same = service_text(
      {{"name", "default/web"}, {"frontends", Json::array({frontend(backends, backends)})}});
  EXPECT_TRUE(contains(same, "same")) << same;
  const std::string nobody =
      service_text({{"name", "default/web"},
                    {"frontends", Json::array({frontend(Json::array(), Json::array())})}});
  EXPECT_TRUE(contains(nobody, "refused")) << nobody;
}

TEST(ServiceView, ExplainsEachEndpointOrTheirAbsence) {
  const std::string text = explanation_text(
      {{"name", "default/web"},
       {"ports", Json::array({{{"port", "http"},
                               {"family", "IPv4"},
                               {"nobody", ""},
                               {"endpoints", Json::array({{{"address", "10.244.0.5"},
                                                           {"port", 8080},
                                                           {"cluster", "used: ready"},
                                                           {"local_policy", "on another node"}}})}},
                              {{"port", "http"},
                               {"family", "IPv6"},
                               {"nobody", "no endpoint of this family"},
                               {"endpoints", Json::array()}}})}});
  EXPECT_TRUE(contains(text, "port http, IPv4\n")) << text;
  EXPECT_TRUE(contains(text, "POLICY CLUSTER")) << text;
  EXPECT_TRUE(contains(text, "on another node")) << text;
  EXPECT_TRUE(contains(text, "port http, IPv6: no endpoint of this family\n")) << text;
}

TEST(ServiceView, OddAnswersAreShownWithoutHarm) {
  EXPECT_EQ(services_text(Json()), "no service\n");
  EXPECT_FALSE(service_text({{"frontends", 7}}).empty());
  EXPECT_FALSE(explanation_text({{"ports", Json::array({7, "x"})}}).empty());
  EXPECT_EQ(applied_text(Json()), "");
}

}  // namespace
}  // namespace weir::ctl
