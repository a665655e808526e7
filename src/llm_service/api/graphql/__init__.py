"""The GraphQL door. What is built of GraphQL's libraries is imported with the first request for it."""
