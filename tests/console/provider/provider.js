// A provider whose users are those of $PROVIDER_USERS, JSON of claims by login; any password is
// right. Its pages for signing in are the library's own for development.
import Provider from "oidc-provider";

const { PROVIDER_PORT: port, PROVIDER_CLIENT, PROVIDER_USERS } = process.env;
const users = JSON.parse(PROVIDER_USERS);

const provider = new Provider(`http://localhost:${port}`, {
  clients: [JSON.parse(PROVIDER_CLIENT)],
  claims: { openid: ["sub", "roles"], profile: ["name"], email: ["email", "email_verified"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...users[id] }) }),
  // Nobody is asked whether the console may know who they are.
  async loadExistingGrant(ctx) {
    const { client, session, provider } = ctx.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid profile email");
    await grant.save();
    return grant;
  },
});

provider.listen(Number(port), () => console.log("ready"));
